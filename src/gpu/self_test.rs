//! Known products before first use: some drivers and browsers compute wrong numbers without a
//! word. A device that differs from the CPU backend is refused, with the reason.

use super::Device;
use crate::{
    Error, Result,
    adapter::{Delta, Factors, Loha},
    backend::{Added, Backend, Heads, Span},
    cpu::Cpu,
    tensor::{Data, Matrix, Tensor},
};

/// Runs a small network with every kind of kernel (row-wise, reduction, barrier) on `device` and on
/// the CPU.
pub(super) async fn run(device: &Device) -> Result<()> {
    let got = net(&mut device.backend()).await?;
    let want = net(&mut Cpu::default()).await?;
    let worst = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
    // NaN compares false, so it is refused too.
    if worst < 1e-4 && got.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    Err(Error::Device {
        reason: format!(
            "the self-test differs from the CPU by {worst}; first numbers: {:?}",
            &got[..4]
        ),
    })
}

/// Numbers between -1 and 1 that look random and are the same everywhere.
fn noise(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
}

async fn net<B: Backend>(backend: &mut B) -> Result<Vec<f32>> {
    const ROWS: usize = 3;
    const WIDTH: usize = 22;
    let heads = Heads { query: 2, key_value: 1, size: 6 };
    let matrix = |rows, cols, seed| {
        let numbers = noise(seed, rows * cols);
        Matrix::new(rows, cols, numbers)
    };
    let weight = Tensor::new(vec![heads.qkv(), WIDTH], Data::F32(noise(1, heads.qkv() * WIDTH)))?;
    let weight = backend.weight(&[&weight])?;
    let factors = Loha::new(
        matrix(heads.qkv(), 2, 2)?,
        matrix(2, WIDTH, 3)?,
        matrix(heads.qkv(), 2, 4)?,
        matrix(2, WIDTH, 5)?,
    )?;
    let delta = Delta::new(Factors::Loha(factors), 2, 1.0, 0.5);
    let deltas = backend.load(&B::Deltas::default(), 0, &[(0, &delta)])?;
    let strengths = backend.upload(&[0.7])?;
    let x = backend.upload(&noise(6, ROWS * WIDTH))?;
    let norm = backend.upload(&noise(7, WIDTH))?;
    let table = backend.upload(&noise(8, ROWS * heads.size))?;
    let mut normed = backend.zeros(ROWS * WIDTH)?;
    let mut qkv = backend.zeros(ROWS * heads.qkv())?;
    let mut keys = backend.zeros(ROWS * heads.size)?;
    let mut values = backend.zeros(ROWS * heads.size)?;
    let mut out = backend.zeros(ROWS * heads.query * heads.size)?;
    backend.rms_norm(&x, 0..ROWS, &norm, WIDTH, 1e-5, &mut normed);
    let (deltas, strengths) = (&deltas, &strengths);
    let added =
        Some(Added { deltas, strengths, active: &[true], first: 0, width: 0, merged: false });
    backend.linears(&weight, None, added, &normed, ROWS, &mut qkv)?;
    let span = Span { rows: 0..ROWS, start: 0 };
    backend.rope(&mut qkv, added, heads, &table, &span, &mut keys, &mut values);
    backend.attention(&qkv, heads, &keys, &values, &span, None, &mut out);
    backend.read(&out, 0, ROWS * heads.query * heads.size).await
}
