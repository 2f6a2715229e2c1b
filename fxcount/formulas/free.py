"""What costs nothing: no arithmetic on numbers is done, only places are named, copied, filled or looked up.

Operators whose schema says so, such as one that returns a view, need no row here: `fxcount.formulas.schema`.
"""

from fxcount.cost import Quantities
from fxcount.formulas.registry import formula, refuse

FREE = {
    "a view or a change of shape": (
        "view _unsafe_view atleast_1d atleast_2d atleast_3d pixel_shuffle pixel_unshuffle channel_shuffle "
        "native_channel_shuffle set set_data resize resize_as _resize_output unsafe_split unsafe_chunk "
        "unsafe_split_with_sizes broadcast_tensors meshgrid type_as"
    ),
    "a copy or a cast": (
        "_pack_padded_sequence _pad_packed_sequence _cudnn_rnn_flatten_weight mkldnn._reorder_mkldnn_rnn_layer_weight "
        "clone copy _to_copy lift cat concat concatenate stack _stack hstack vstack dstack column_stack row_stack roll "
        "rot90 flip fliplr flipud repeat tile repeat_interleave pad constant_pad_nd reflection_pad1d reflection_pad2d "
        "reflection_pad3d replication_pad1d replication_pad2d replication_pad3d im2col block_diag diag_embed diag "
        "diagflat _pin_memory chalf complex _pad_enum _pad_circular _chunk_cat cartesian_prod combinations "
        "conj_physical _conj_physical lu_unpack _lazy_clone shallow_copy_data _copy_from _copy_from_and_resize "
        "_reshape_copy"
    ),
    "creation or filling": (
        "empty_like new_empty new_empty_strided new_zeros new_ones new_full zeros_like ones_like full_like linspace "
        "logspace fill zero fill_diagonal tril triu vander _new_zeros_with_same_feature_meta"
    ),
    "indexing or gathering": (
        "index _unsafe_index index_select index_copy index_fill gather take take_along_dim embedding masked_select "
        "masked_scatter nonzero nonzero_static nonzero_numpy argwhere slice_scatter select_scatter diagonal_scatter "
        "as_strided_scatter max_unpool2d max_unpool3d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
        "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d fft_fftshift fft_ifftshift "
        "_unsafe_masked_index select_backward slice_backward diagonal_backward trace_backward masked_scatter_backward "
        "_pack_padded_sequence_backward _gather_sparse_backward embedding_sparse_backward _sparse_sum_backward "
        "_nested_select_backward _nested_sum_backward"
    ),
    "arithmetic on bits or whole numbers": (
        "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift __lshift__ __rshift__ "
        "__ilshift__ __irshift__ gcd lcm hash_tensor"
    ),
    "random numbers": (
        "rand_like randn_like randint_like normal uniform random bernoulli exponential geometric cauchy log_normal "
        "multinomial poisson binomial _standard_gamma _sample_dirichlet normal_functional _philox_normal "
        "_philox_uniform _philox_key_fold_in _philox_key_split _fill_mem_eff_dropout_mask"
    ),
    "a question about a tensor": (
        "_use_cudnn_ctc_loss _use_miopen_ctc_loss size stride storage_offset numel dim sym_size sym_stride sym_numel "
        "sym_storage_offset is_same_size _local_scalar_dense is_floating_point is_complex is_signed is_contiguous "
        "result_type equal _assert_async _assert_tensor_metadata _functional_assert_async "
        "_has_compatible_shallow_copy_type is_pinned _version output_nr is_leaf retains_grad retain_grad requires_grad "
        "_fused_sdp_choice _linalg_check_errors is_set_to _has_same_storage_numel _functional_sym_constrain_range "
        "_functional_sym_constrain_range_for_size _functional_assert_scalar record_stream"
    ),
    "sparse, nested or blocked storage": (
        "sparse_coo_tensor sparse_compressed_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor "
        "sparse_bsc_tensor _sparse_coo_tensor_unsafe _sparse_compressed_tensor_unsafe _sparse_csr_tensor_unsafe "
        "_sparse_csc_tensor_unsafe _sparse_bsr_tensor_unsafe _sparse_bsc_tensor_unsafe "
        "_sparse_coo_tensor_with_dims_and_tensors _spdiags to_sparse to_sparse_csr to_sparse_csc to_sparse_bsr "
        "to_sparse_bsc _to_sparse _to_sparse_csr _to_sparse_csc _to_sparse_bsr _to_sparse_bsc to_dense _to_dense "
        "sparse_mask _sparse_mask_projection sparse_resize sparse_resize_and_clear resize_as_sparse "
        "copy_sparse_to_sparse _coalesced is_coalesced _nnz _dimI _dimV sparse_dim dense_dim "
        "_convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo _validate_compressed_sparse_indices "
        "_validate_sparse_coo_tensor_args _validate_sparse_compressed_tensor_args _validate_sparse_csr_tensor_args "
        "_validate_sparse_csc_tensor_args _validate_sparse_bsr_tensor_args _validate_sparse_bsc_tensor_args "
        "_to_sparse_semi_structured _sparse_semi_structured_apply _sparse_semi_structured_apply_dense _cslt_compress "
        "_cslt_sparse_mm_search _nested_tensor_from_tensor_list _nested_tensor_from_mask "
        "_nested_tensor_from_mask_left_aligned _nested_from_padded _nested_from_padded_and_nested_example "
        "_nested_from_padded_tensor _nested_compute_contiguous_strides_offsets _nested_tensor_size "
        "_nested_tensor_strides _nested_tensor_storage_offsets _nested_get_jagged_dummy _nested_get_lengths "
        "_nested_get_offsets _nested_get_min_seqlen _nested_get_max_seqlen _nested_get_ragged_idx to_padded_tensor "
        "nested_to_padded_tensor _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward to_mkldnn "
        "_mkldnn_reshape _mkldnn_transpose mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight "
        "mkldnn._reorder_convolution_weight mkldnn._reorder_convolution_transpose_weight mkldnn._reorder_linear_weight "
        "mkldnn._get_mkldnn_serialized_md mkldnn._nbytes mkldnn.data_ptr mkldnn_prepacked.conv2d_prepack "
        "mkl._mkl_reorder_linear_weight inductor._reinterpret_tensor inductor._alloc_from_pool "
        "inductor.resize_storage_bytes_"
    ),
    "quantised tensors, and weights in packed form": (
        "int_repr q_scale q_zero_point q_per_channel_axis q_per_channel_scales q_per_channel_zero_points qscheme "
        "_make_per_tensor_quantized_tensor _make_per_channel_quantized_tensor empty_quantized "
        "_empty_per_channel_affine_quantized _convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu "
        "_dyn_quant_pack_4bit_weight _wrapped_linear_prepack _quantized._wrapped_linear_prepack "
        "fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix _quantized.wrapped_fbgemm_pack_gemm_matrix_fp16 "
        "quantized.cat quantized.cat_out quantized.embedding_byte quantized.embedding_4bit "
        "quantized.linear_prepack_legacy quantized.linear_prepack_fp16_legacy _quantized.linear_prepack_legacy "
        "_quantized.linear_prepack_fp16_legacy quantized.linear_unpack quantized.linear_unpack_fp16 "
        "quantized.embedding_bag_byte_unpack quantized.embedding_bag_4bit_unpack quantized.embedding_bag_2bit_unpack "
        "onednn.qlinear_prepack onednn.qconv_prepack onednn.linear_prepack_fp16 quantization._Bfloat16QuantizedToFloat "
        "quantization._FloatToBfloat16Quantized"
    ),
    "a mark for the profiler": (
        "profiler._record_function_enter profiler._record_function_enter_new profiler._record_function_exit"
    ),
}


@formula(" ".join(FREE.values()), "")
def free() -> Quantities:
    """No arithmetic."""
    return {}


refuse(
    "_foobar _test_autograd_multiple_dispatch _test_functorch_fallback _test_optional_filled_intlist "
    "_test_optional_floatlist _test_optional_intlist _test_parallel_materialize _test_warn_in_autograd",
    "an operator of torch's own tests, which has no meaning in a model",
)
refuse("_backward", "it runs autograd, which is no operator of its own; count the operators that autograd calls")
