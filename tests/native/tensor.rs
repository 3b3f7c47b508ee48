//! Quantised tensors: what they refuse, how they move, and what a merge makes of them.

use lokahi::{
    adapter::{Delta, Factors, Lora},
    format::gguf::rope_order::{matrix_to_transformers, to_transformers},
    tensor::{DType, Data, Tensor, read_blocks, read_q4_0},
};

use crate::{refused::refused, trials::kernels::Noise};

fn quantised(rows: usize, cols: usize) -> Vec<Tensor> {
    Noise::new(20).tensors(rows, cols).split_off(3)
}

#[test]
fn rows_are_whole_blocks() {
    let data = || Data::Q8_0(read_blocks(&[0; 3 * 34]));
    assert_eq!(data().len(), 96);
    assert!(Tensor::new(vec![3, 32], data()).is_ok());
    let rows_of_48 = Tensor::new(vec![2, 48], data());
    refused(rows_of_48, "ShapeMismatch", &["Q8_0", "multiple of 32", "[2, 48]"]);
    refused(Tensor::new(vec![2, 32], data()), "ShapeMismatch", &["[2, 32]", "[96]"]);
    refused(Tensor::new(vec![1 << 40, 1 << 40, 32], data()), "ShapeMismatch", &["[96]"]);
}

#[test]
fn a_scale_that_is_no_number_is_named() {
    let infinity = 0x7c00u16.to_le_bytes();
    let mut file = vec![1; 3 * 34];
    file[2 * 34..][..2].copy_from_slice(&infinity);
    let tensor = Tensor::new(vec![3, 32], Data::Q8_0(read_blocks(&file))).unwrap();
    refused(tensor.check_finite("tensor w"), "NotFinite", &["tensor w", "64", "inf"]);
    // The minimum of a Q4_1, and a Q4_0 scale whose minimum is beyond f16.
    let mut file = vec![1; 20];
    file[2..4].copy_from_slice(&infinity);
    let tensor = Tensor::new(vec![32], Data::Q4_1(read_blocks(&file))).unwrap();
    refused(tensor.check_finite("tensor w"), "NotFinite", &["element 0", "inf"]);
    let file = [&half::f16::from_f32(9000.).to_bits().to_le_bytes()[..], &[1; 16]].concat();
    let tensor = Tensor::new(vec![32], Data::Q4_1(read_q4_0(&file))).unwrap();
    refused(tensor.check_finite("tensor w"), "NotFinite", &["element 0", "inf"]);
    for tensor in quantised(2, 64) {
        tensor.check_finite("w").unwrap();
    }
}

#[test]
fn rows_of_blocks_move_whole() {
    for tensor in Noise::new(21).tensors(12, 64) {
        let moved = matrix_to_transformers(&tensor, 3).unwrap();
        assert_eq!(moved.dtype(), tensor.dtype());
        assert_eq!(moved.to_f32(), to_transformers(&tensor.to_f32(), 64, 3).unwrap());
        refused(matrix_to_transformers(&tensor, 5), "ShapeMismatch", &["5 heads"]);
        refused(tensor.reordered(|row| row + 1), "BadArgument", &["below 12", "12"]);
    }
}

#[test]
fn a_merge_into_blocks_is_f32() {
    let mut noise = Noise::new(22);
    let (a, b) = (noise.matrix(2, 64), noise.matrix(3, 2));
    let delta = Delta::new(Factors::Lora(Lora::new(a, b).unwrap()), 2, 2., 1.);
    for tensor in quantised(3, 64) {
        let merged = delta.merge(&tensor, 0.5, false).unwrap();
        assert_eq!((merged.dtype(), merged.shape()), (DType::F32, tensor.shape()));
        let change = delta.materialise();
        for (i, merged) in merged.to_f32().iter().enumerate() {
            let want = f64::from(tensor.at(i)) + 0.5 * change[i];
            assert_eq!(*merged, want as f32);
            assert_eq!(tensor.at(i), tensor.to_f32()[i]);
        }
    }
}

#[test]
fn numbers_are_rounded_once() {
    // Just above the middle of two F16 and two BF16, by less than the upper half of an f64 shows.
    for (dtype, tie) in [(DType::F16, 2f64.powi(-11)), (DType::BF16, 2f64.powi(-8))] {
        let mut tensor = Tensor::new(
            vec![3],
            match dtype {
                DType::F16 => Data::F16(vec![0; 3]),
                _ => Data::BF16(vec![0; 3]),
            },
        )
        .unwrap();
        for (i, value) in
            [1.0 + tie, (1.0 + tie).next_up(), (1.0 + tie).next_down()].into_iter().enumerate()
        {
            assert!(tensor.set(i, value));
        }
        let next = 1.0 + 2.0 * tie as f32;
        assert_eq!(tensor.to_f32(), [1.0, next, 1.0], "{dtype:?}");
    }
}
