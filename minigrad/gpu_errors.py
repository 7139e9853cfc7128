"""Why there is no GPU, in torch's words: CuPy missing, broken or for another CUDA; no driver, an old one; no GPU."""

from __future__ import annotations

from types import ModuleType

INITIALIZATION, TOO_OLD, NO_DEVICE, UNKNOWN = 3, 35, 100, 999  # CUDA's numbers of the errors


def not_importable(error: Exception) -> AssertionError:
    """The error where `import cupy` fails: CuPy is not installed, or cannot be loaded."""
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        return AssertionError(
            "Torch not compiled with CUDA enabled: minigrad runs on the GPU through CuPy, which is not installed. "
            "Install the extra `gpu`, or keep device='cpu'."
        )
    return AssertionError(
        "libcudart functions unavailable. It looks like you have a broken build? CuPy is installed but cannot be "
        f"loaded ({type(error).__name__}: {error}). Install the CuPy that is built for your CUDA, one only "
        "(`pip list | grep cupy`), or keep device='cpu'."
    )


def not_usable(cp: ModuleType) -> RuntimeError:
    """The error where CuPy can be imported and finds no GPU that it could use."""
    runtime = cp.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except Exception as error:
        status, text = getattr(error, "status", None), str(error)
    else:
        status, text = (None if count else NO_DEVICE), "no error"
    if status == NO_DEVICE:
        return RuntimeError(
            "No CUDA GPUs are available. There is a driver but no GPU to be seen: check nvidia-smi and the variable "
            "CUDA_VISIBLE_DEVICES, or keep device='cpu'."
        )
    if status == TOO_OLD:
        driver, built_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        if driver:
            return RuntimeError(
                f"The NVIDIA driver on your system is too old (found version {driver}). CuPy {cp.__version__} is built "
                f"for CUDA {_version(built_for)} and the driver knows CUDA {_version(driver)}: update the driver, or "
                f"install cupy-cuda{driver // 1000}x in place of it, or keep device='cpu'."
            )
        return RuntimeError(
            "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver "
            "(nvidia-smi), or keep device='cpu'."
        )
    if status == INITIALIZATION:
        return RuntimeError("CUDA driver initialization failed, you might not have a CUDA gpu.")
    if status == UNKNOWN:
        return RuntimeError(
            "CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable "
            "CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero."
        )
    return RuntimeError(
        "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() "
        f"that might have already set an error? Error {status}: {text}"
    )


def in_a_fork() -> RuntimeError:
    """The error in a process that was forked from one that had begun to use the GPU."""
    return RuntimeError(
        "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' "
        "start method. Workers of a DataLoader should give tensors of the CPU: move the batch where it is used."
    )


def _version(number: int) -> str:
    """CUDA's number of a version, such as 12080, as "12.8"."""
    return f"{number // 1000}.{number % 1000 // 10}"
