"""What costs nothing: no arithmetic on numbers is done, only places are named, copied, filled or looked up.

Operators whose schema says that they return a view need no row here.
"""

from __future__ import annotations

from fxcount.formulas.formula import Quantities
from fxcount.formulas.registry import formula

FREE = {
    "a view or a change of shape": (
        "view _unsafe_view reshape reshape_as flatten unflatten ravel contiguous numpy_T mT mH adjoint matrix_H real "
        "imag squeeze unsqueeze transpose swapaxes swapdims moveaxis movedim expand_as broadcast_to view_as narrow "
        "as_strided t resolve_conj resolve_neg atleast_1d atleast_2d atleast_3d detach alias pixel_shuffle "
        "pixel_unshuffle channel_shuffle native_channel_shuffle set set_data resize resize_as _resize_output "
        "unsafe_split unsafe_chunk unsafe_split_with_sizes split chunk tensor_split split_with_sizes hsplit vsplit "
        "dsplit unbind broadcast_tensors meshgrid diagonal permute select slice unfold type_as"
    ),
    "a copy or a cast": (
        "clone copy to _to_copy lift lift_fresh lift_fresh_copy cat concat concatenate stack _stack hstack vstack "
        "dstack column_stack row_stack roll rot90 flip fliplr flipud repeat tile repeat_interleave pad "
        "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d "
        "replication_pad3d im2col block_diag diag_embed diag diagflat pin_memory _pin_memory chalf complex "
        "_pad_enum _pad_circular _chunk_cat cartesian_prod combinations conj_physical _conj_physical positive"
    ),
    "creation or filling": (
        "empty empty_like empty_strided empty_permuted new_empty new_empty_strided new_zeros new_ones new_full zeros "
        "zeros_like ones ones_like full full_like eye arange range linspace logspace scalar_tensor fill zero "
        "fill_diagonal tril_indices triu_indices tril triu one_hot vander hann_window hamming_window "
        "blackman_window bartlett_window kaiser_window fft_fftfreq fft_rfftfreq _efficientzerotensor from_file"
    ),
    "indexing or gathering": (
        "index _unsafe_index index_select index_copy index_fill gather take take_along_dim embedding masked_select "
        "masked_scatter nonzero nonzero_static nonzero_numpy argwhere slice_scatter select_scatter diagonal_scatter "
        "as_strided_scatter max_unpool2d max_unpool3d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
        "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d fft_fftshift fft_ifftshift"
    ),
    "random numbers": (
        "rand rand_like randn randn_like randint randint_like randperm normal uniform random bernoulli exponential "
        "geometric cauchy log_normal multinomial poisson binomial _standard_gamma _sample_dirichlet"
    ),
    "a question about a tensor": (
        "size stride storage_offset numel dim sym_size sym_stride sym_numel sym_storage_offset is_same_size item "
        "_local_scalar_dense is_nonzero is_floating_point is_complex is_signed is_contiguous result_type can_cast "
        "promote_types equal _assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async "
        "_has_compatible_shallow_copy_type is_pinned _version output_nr is_leaf retains_grad retain_grad requires_grad "
        "_fused_sdp_choice"
    ),
}


@formula(" ".join(FREE.values()), "")
def free() -> Quantities:
    """No arithmetic."""
    return {}
