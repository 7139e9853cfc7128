"""torch.fft: what of it turns real tensors into real ones."""

from minigrad.ops.fourier import fft_fftshift as fftshift
from minigrad.ops.fourier import fft_hfft as hfft
from minigrad.ops.fourier import fft_hfft2 as hfft2
from minigrad.ops.fourier import fft_hfftn as hfftn
from minigrad.ops.fourier import fft_ifftshift as ifftshift
from minigrad.ops.fourier import fft_irfft as irfft
from minigrad.ops.fourier import fft_irfft2 as irfft2
from minigrad.ops.fourier import fft_irfftn as irfftn

__all__ = ["fftshift", "hfft", "hfft2", "hfftn", "ifftshift", "irfft", "irfft2", "irfftn"]
