"""The suite's plugins: Hydra takes plugins from the namespace `hydra_plugins` alone.

Hydra imports what it finds there in every program of the environment, but no module whose name begins with `_`. So other
people's programs load nothing of the suite; its own commands register the classes (`clrbench.cli`).
"""
