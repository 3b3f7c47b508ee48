//! Adapters through another format and back: the same delta, within 1e-6 of its largest number.

use std::path::{Path, PathBuf};

use lokahi::adapter::{Adapter, Layer};
use lokahi::format::{AdapterFile, Base, Conventions, Files, Tensors, lycoris, peft};

/// What a LyCORIS file has no place for.
const NOT_IN_LYCORIS: [&str; 3] =
    ["peft-lora-bias-saved-modules", "peft-lora-embedding", "peft-lora-lora-bias"];

/// What a PEFT folder has no place for: DoRA of LoHa, and factors of LoKr that split otherwise.
const NOT_IN_PEFT: [&str; 2] = ["lycoris-loha-dora", "lycoris-lokr-both"];

fn cases(kind: &str) -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let named = folders.map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), p));
    named.filter(|(name, _)| name.starts_with(kind)).collect()
}

fn file(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

/// A single file, its modules by the names of the base.
fn read_single(bytes: &[u8], folder: &Path) -> Adapter {
    let base = file(folder, "base.safetensors");
    let base = Tensors::parse("base", &base).unwrap();
    let shapes = base.header().entries().iter().map(|e| (e.name.clone(), e.shape.clone()));
    let base = Base::new(shapes).unwrap();
    let tensors = Tensors::parse("adapter", bytes).unwrap();
    let mut opened = AdapterFile::open(None, tensors, &Conventions::default()).unwrap();
    opened.resolve(&base).unwrap();
    opened.read().unwrap()
}

fn read_peft(folder: &Path) -> Adapter {
    let names = ["adapter_config.json", "adapter_model.safetensors"];
    peft::read(&names.into_iter().map(|name| (name, file(folder, name))).collect()).unwrap()
}

fn same(what: &str, one: &Adapter, other: &Adapter) {
    assert!(one.deltas.keys().eq(other.deltas.keys()), "{what}");
    for (module, delta) in &one.deltas {
        let (a, b) = (delta.materialise(), other.deltas[module].materialise());
        let largest = a.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(largest > 0.0, "{what}: {module}");
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!((a - b).abs() <= 1e-6 * largest, "{what}: {module}[{i}]: {a}, {b}");
        }
        assert_eq!(delta.magnitude, other.deltas[module].magnitude, "{what}: {module}");
    }
}

#[test]
fn peft_to_lycoris_to_peft() {
    let mut refused = Vec::new();
    for (name, folder) in cases("peft-") {
        let adapter = read_peft(&folder);
        let Ok((bytes, _)) = lycoris::write(&adapter, &lycoris::Options::default()) else {
            refused.push(name);
            continue;
        };
        let between = read_single(&bytes, &folder);
        same(&name, &adapter, &between);
        // A whole w2 of a Conv1d has another order in either; no case has one.
        assert!(
            adapter
                .deltas
                .values()
                .all(|d| !matches!(&d.layer, Layer::Conv { kernel } if kernel.len() == 1))
        );
        let (files, _) = peft::write(&between, &peft::Options::default()).unwrap();
        same(&name, &adapter, &peft::read(&files).unwrap());
    }
    refused.sort();
    assert_eq!(refused, NOT_IN_LYCORIS);
}

#[test]
fn lycoris_to_peft_to_lycoris() {
    let mut refused = Vec::new();
    for (name, folder) in cases("lycoris-") {
        let adapter = read_single(&file(&folder, "adapter.safetensors"), &folder);
        let Ok((files, _)) = peft::write(&adapter, &peft::Options::default()) else {
            refused.push(name);
            continue;
        };
        let between: Adapter = peft::read(&files as &Files<'_>).unwrap();
        same(&name, &adapter, &between);
        let (bytes, _) = lycoris::write(&between, &lycoris::Options::default()).unwrap();
        same(&name, &adapter, &read_single(&bytes, &folder));
    }
    refused.sort();
    assert_eq!(refused, NOT_IN_PEFT);
}
