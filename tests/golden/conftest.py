"""Scripts that made golden files, one of them with PyTorch, are not collected."""

collect_ignore = ["make_golden.py", "make_store.py"]
