"""Small problems for comparisons across tasks, made without a download: docs/tasks.md lists them."""
