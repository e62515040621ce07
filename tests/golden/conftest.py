"""``make_golden.py`` needs PyTorch, which the tests don't: it is not collected."""

collect_ignore = ["make_golden.py"]
