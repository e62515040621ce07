"""How our kernels are compiled: the flags, and a cache folder of their own.

Numba keys a cached kernel by the file that defines it and does not notice an
edit in a callee's file. So the folder is named after a hash of all kernel
sources: a stale kernel can never run. The folder is Numba's setting for the
whole process, so it is set only while one of our kernels is being defined.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
from numba import config, njit
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock

from streamrnn.errors import UnsupportedMachineError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = ("kernels", "scoring")
_LIBRARY, _CODEGEN = cast(Any, JITCodeLibrary), cast(Any, JITCPUCodegen)
_FINALIZE, _SET_ENV = "_finalize_final_module", "set_env"
_finalize, _set_env = getattr(_LIBRARY, _FINALIZE, None), getattr(_CODEGEN, _SET_ENV, None)

# No fast-math flag, here or in emitted IR: results must have the same bits on
# every machine, so the compiler may neither reorder nor contract arithmetic.
_FLAGS: dict[str, Any] = {"error_model": "numpy", "boundscheck": False, "nogil": True}
WITHIN: Any = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""How Numba compiles what only other kernels call: without the wrappers by which Python and C could."""


def _require_fused_multiply_add() -> None:
    """Refuse an x86 processor without FMA and AVX2: emulated, it would crawl."""
    if not llvm.get_default_triple().startswith("x86_64"):
        return
    features = llvm.get_host_cpu_features()
    missing = [name for name in ("fma", "avx2") if not features.get(name)]
    if missing:
        raise UnsupportedMachineError(
            f"this processor ({llvm.get_host_cpu_name()}) lacks {' and '.join(missing)}; "
            "streamrnn needs an x86-64 processor of 2013 or later (AVX2 and FMA)"
        )


@cache
def source_hash() -> str:
    """Hash of every source that can end up inside a kernel, and of Numba's version."""
    digest = hashlib.sha256(f"{numba.__version__} {llvm.llvm_version_info}".encode())
    for folder in _SOURCES:
        for path in sorted((_PACKAGE / folder).rglob("*.py")):
            digest.update(path.relative_to(_PACKAGE).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def cache_folder() -> Path | None:
    """The folder that holds compiled kernels, or None where none can be written.

    ``STREAMRNN_CACHE_DIR`` names its parent; without it, the user's cache folder.
    """
    parents = [os.environ.get("STREAMRNN_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")]
    named = [Path(parent) for parent in parents if parent]
    user = getattr(os, "getuid", lambda: 0)()
    named.append(Path("~/.cache").expanduser())
    named.append(Path(tempfile.gettempdir()) / f"streamrnn-{user}")
    for parent in named:
        folder = parent / "streamrnn" / f"kernels-{source_hash()}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        # A compiled kernel is code: never load one that another user may have put there.
        owned = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
        if owned and os.access(folder, os.W_OK):
            folder.chmod(0o700)
            return folder
    return None


def inlined(function: F) -> F:
    """Compile a small helper that LLVM always inlines into its caller."""
    return njit(forceinline=True, **WITHIN)(function)  # type: ignore[no-any-return]


def woven(function: F) -> F:
    """Paste a function into its caller before compilation.

    LLVM optimises everything below a function once for each level of calls
    above it, so a thin level that only passes on costs seconds of start-up.
    """
    return njit(inline="always", **WITHIN)(function)  # type: ignore[no-any-return]


def kernel(function: F) -> F:
    """Compile a function that other kernels call."""
    # Stated, since a callee inherits what its caller was compiled with.
    return njit(forceinline=False, **WITHIN)(function)  # type: ignore[no-any-return]


def entry_point(function: F) -> F:
    """Compile a function that Python calls; its machine code is kept on disk.

    Each kernel is compiled by one process, while others that want the same wait for it.
    """
    _require_fused_multiply_add()
    folder = cache_folder()
    dispatcher: Any = njit(**_FLAGS)(function) if folder is None else _kept(function, folder)
    compile_it, name = dispatcher.compile, function.__name__

    def compile_alone(signature: Any) -> Any:
        if signature in dispatcher.overloads:
            return compile_it(signature)
        digest = hashlib.sha256(repr(signature).encode()).hexdigest()[:16]
        with global_compiler_lock, _held(folder, f"{name}-{digest}"), _emitted_alone(function.__qualname__):
            return compile_it(signature)

    dispatcher.compile = compile_alone
    return dispatcher  # type: ignore[no-any-return]


def _kept(function: Any, folder: Path) -> Any:
    """A dispatcher whose machine code is kept in a folder.

    Numba reads, changes and writes the index of a function's files without a lock: of two processes
    that enter a kernel at once, one would find the other's under its name.
    """
    others = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        dispatcher = njit(cache=True, **_FLAGS)(function)
    finally:
        config.CACHE_DIR = others
    save = dispatcher._cache.save_overload

    def save_alone(signature: Any, data: Any) -> None:
        with _held(folder, function.__name__):
            save(signature, data)

    dispatcher._cache.save_overload = save_alone
    return dispatcher


@contextmanager
def _emitted_alone(name: str) -> Iterator[None]:
    """Have machine code made of an entry point alone.

    Numba makes it of every function below, too, each time of all that it calls in turn, and nobody
    runs that: what an entry point calls was linked into it before. Its own machine code is the same.
    What is set aside here is private to Numba; where it is gone, compiling takes longer, that is all.
    """
    if _finalize is None or _set_env is None:
        yield
        return
    emitted = True

    def finalize_one(library: Any) -> None:
        nonlocal emitted
        emitted = library.name == name
        if emitted:
            _finalize(library)
        else:
            library._finalized = True

    def set_env_of_emitted(codegen: Any, *what: Any) -> None:
        if emitted:  # of what was finalised last
            _set_env(codegen, *what)

    before = getattr(_LIBRARY, _FINALIZE), getattr(_CODEGEN, _SET_ENV)  # an entry point's that calls this one
    setattr(_LIBRARY, _FINALIZE, finalize_one)
    setattr(_CODEGEN, _SET_ENV, set_env_of_emitted)
    try:
        yield
    finally:
        setattr(_LIBRARY, _FINALIZE, before[0])
        setattr(_CODEGEN, _SET_ENV, before[1])


@contextmanager
def _held(folder: Path | None, name: str) -> Iterator[None]:
    """Hold a lock against other processes; without one, where that fails: the worst is double work."""
    with ExitStack() as opened:
        if folder is not None and fcntl is not None:
            with suppress(OSError):
                fcntl.flock(opened.enter_context((folder / f"{name}.lock").open("ab")), fcntl.LOCK_EX)
        yield


def bind(dispatcher: Any, *examples: Any) -> Callable[..., Any]:
    """The compiled function for arguments of these types, without Numba's dispatch.

    Dispatch looks at the type of every argument again at every call and costs
    several times what a small kernel does. Arguments must have the examples' types.
    """
    types = tuple(numba.typeof(example) for example in examples)
    dispatcher.compile(types)
    return dispatcher.overloads[types].entry_point  # type: ignore[no-any-return]
