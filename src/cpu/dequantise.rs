//! The numbers of a weight as f32: the ground that a merge adds to.

use super::{Stored, Weight, packed::unpack, zeros};
use crate::Result;

pub(super) fn dequantise(weight: &Weight) -> Result<Vec<f32>> {
    let mut out = zeros(weight.outputs.saturating_mul(weight.inputs))?;
    match &weight.stored {
        Stored::F32(eights) => weight.strips(eights).columns(&mut out),
        Stored::F16(eights) => weight.strips(eights).columns(&mut out),
        Stored::BF16(eights) => weight.strips(eights).columns(&mut out),
        Stored::Q8_0(tiles) => unpack(tiles, weight.inputs, &mut out),
        Stored::Q4_1(tiles) => unpack(tiles, weight.inputs, &mut out),
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::dequantise;
    use crate::{Error, cpu::Weight, memory::Ledger, tensor::Data};

    #[test]
    fn what_takes_too_much_memory_is_an_error() {
        // The numbers themselves are not there: they are not looked at.
        let shape = [usize::MAX / 4, 2];
        let weight = Weight::new(&Ledger::default(), shape, Data::F32(Vec::new()));
        assert!(matches!(dequantise(&weight), Err(Error::Device { .. })));
    }
}
