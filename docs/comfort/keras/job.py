import sys
from pathlib import Path

import keras
from run import digits, make_model
from resume import ResumableCyclicLR

EPOCHS = 16

if __name__ == "__main__":
    policy, seed = sys.argv[1], int(sys.argv[2])
    keras.utils.set_random_seed(seed)
    x_train, x_test, y_train, y_test = digits()
    clr = ResumableCyclicLR(base_lr=0.002, max_lr=0.03, step_size=90, mode=policy)
    backup = keras.callbacks.BackupAndRestore(f"backup/{policy}-{seed}")
    model = make_model()
    model.fit(x_train, y_train, batch_size=32, epochs=EPOCHS, callbacks=[backup, clr], verbose=2)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    Path("runs").mkdir(exist_ok=True)
    Path(f"runs/{policy}-{seed}.csv").write_text(f"policy,seed,accuracy\n{policy},{seed},{100 * accuracy}\n")
