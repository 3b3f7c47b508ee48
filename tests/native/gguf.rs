//! GGUF files: the bytes of the specification, the files of gguf-py, and files made to do harm.

use crate::refused::refused;
use std::collections::BTreeMap;

use lokahi::Result;
use lokahi::format::Progress;
use lokahi::format::gguf::{Elements, GgmlType, Gguf, Header, Metadata, Value, write};
use lokahi::tensor::{DType, Data, Tensor};

const FILE: &str = "m.gguf";

// The specification, a second time: bytes by hand.

fn text(s: impl AsRef<[u8]>) -> Vec<u8> {
    [&(s.as_ref().len() as u64).to_le_bytes()[..], s.as_ref()].concat()
}

/// A metadata entry: key, code of its type, value.
fn entry(key: &str, code: u32, value: &[u8]) -> Vec<u8> {
    [&text(key)[..], &code.to_le_bytes(), value].concat()
}

/// The value of an array: code of its elements, length, elements.
fn array(code: u32, len: u64, elements: &[u8]) -> Vec<u8> {
    [&code.to_le_bytes()[..], &len.to_le_bytes(), elements].concat()
}

/// A tensor info: name, dimensions with the fastest first, number of the type, offset.
fn info(name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let count = dimensions.len() as u32;
    let dimensions: Vec<u8> = dimensions.iter().flat_map(|d| d.to_le_bytes()).collect();
    [&text(name)[..], &count.to_le_bytes(), &dimensions, &kind.to_le_bytes(), &offset.to_le_bytes()]
        .concat()
}

/// A file, with the counts that are true and zeros to the next multiple of 32.
fn file(entries: &[Vec<u8>], infos: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    claiming(infos.len() as u64, entries.len() as u64, entries, infos, data)
}

fn claiming(
    tensors: u64,
    values: u64,
    entries: &[Vec<u8>],
    infos: &[Vec<u8>],
    data: &[u8],
) -> Vec<u8> {
    let mut bytes =
        [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &values.to_le_bytes()].concat();
    bytes.extend(entries.concat());
    bytes.extend(infos.concat());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend(data);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Gguf<'_>> {
    Gguf::parse(FILE, bytes)
}

fn with_entry(key: &str, code: u32, value: &[u8]) -> Vec<u8> {
    file(&[entry(key, code, value)], &[], &[])
}

fn with_infos(infos: &[Vec<u8>], data: usize) -> Vec<u8> {
    file(&[], infos, &vec![0; data])
}

/// A small file: one setting, an F32 matrix and an F16 vector behind it.
fn small() -> Vec<u8> {
    let mut data: Vec<u8> =
        [1f32, 2., 3., 4., 5., 6.].iter().flat_map(|x| x.to_le_bytes()).collect();
    data.resize(32, 0);
    // 1, -2 and 0.5 as binary16, then padding.
    data.extend([0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38]);
    data.resize(64, 0);
    file(
        &[entry("general.architecture", 8, &text("llama"))],
        &[info("a", &[3, 2], 0, 0), info("b", &[3], 1, 32)],
        &data,
    )
}

fn small_tensors() -> BTreeMap<String, Tensor> {
    let a = Tensor::new(vec![2, 3], Data::F32(vec![1., 2., 3., 4., 5., 6.])).unwrap();
    let b = Tensor::new(vec![3], Data::F16(vec![0x3c00, 0xc000, 0x3800])).unwrap();
    BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)])
}

#[test]
fn a_file_of_the_specification_is_read() {
    let bytes = small();
    let gguf = parse(&bytes).unwrap();
    assert_eq!(gguf.header().metadata.text("general.architecture").unwrap(), Some("llama"));
    // The slowest dimension comes first.
    assert_eq!(gguf.header().info("a").unwrap().shape, [2, 3]);
    for (name, tensor) in small_tensors() {
        assert_eq!(gguf.get(&name).unwrap(), tensor, "{name}");
    }
    // Version 2 differs in nothing.
    let mut second = bytes;
    second[4] = 2;
    assert_eq!(parse(&second).unwrap().get("a").unwrap(), small_tensors()["a"]);
}

#[test]
fn a_written_file_is_the_one_of_the_specification() {
    let mut metadata = Metadata::new(FILE);
    metadata.insert("general.architecture", "llama");
    assert_eq!(write(&metadata, &small_tensors()).unwrap(), small());
}

#[test]
fn every_value_is_written_and_read_back() {
    let mut metadata = Metadata::new(FILE);
    let nested = Elements::Array(vec![Elements::U8(vec![1]), Elements::Text(vec!["x".into()])]);
    for (i, value) in [
        Value::from(7u8),
        Value::from(-7i8),
        Value::from(700u16),
        Value::from(-700i16),
        Value::from(u32::MAX),
        Value::from(i32::MIN),
        Value::from(-0.5f32),
        Value::from(true),
        Value::from("ʻōkina"),
        Value::from(u64::MAX),
        Value::from(i64::MIN),
        Value::from(1e300f64),
        Value::from(Elements::Bool(vec![true, false])),
        Value::from(Elements::F32(vec![])),
        Value::from(Elements::I64(vec![-1, 1])),
        Value::from(nested),
    ]
    .into_iter()
    .enumerate()
    {
        metadata.insert(format!("k{i}"), value);
    }
    metadata.insert("general.alignment", 64u32);
    let tensors = small_tensors();
    let bytes = write(&metadata, &tensors).unwrap();
    let gguf = parse(&bytes).unwrap();
    assert_eq!(gguf.header().metadata, metadata);
    assert_eq!(gguf.header().tensors.len(), 2);
    for (name, tensor) in &tensors {
        assert_eq!(gguf.header().info(name).unwrap().range.start % 64, 0);
        assert_eq!(&gguf.get(name).unwrap(), tensor);
    }
}

#[test]
fn a_file_of_gguf_py_is_read() {
    let bytes = include_bytes!("../fixtures/gguf/every-type.gguf");
    let gguf = parse(bytes).unwrap();
    let metadata = &gguf.header().metadata;
    let scalar = |key: &str| metadata.iter().find(|(k, _)| *k == key).unwrap().1.scalar().unwrap();
    assert_eq!(scalar("t.u8"), &Elements::U8(vec![200]));
    assert_eq!(scalar("t.i8"), &Elements::I8(vec![-100]));
    assert_eq!(scalar("t.u16"), &Elements::U16(vec![60_000]));
    assert_eq!(scalar("t.i16"), &Elements::I16(vec![-30_000]));
    assert_eq!(scalar("t.u64"), &Elements::U64(vec![(1 << 63) + 5]));
    assert_eq!(scalar("t.i64"), &Elements::I64(vec![-(1 << 62)]));
    assert_eq!(scalar("t.f64"), &Elements::F64(vec![0.1]));
    assert_eq!(scalar("t.i32"), &Elements::I32(vec![-2_000_000_000]));
    assert_eq!(metadata.u32("t.u8").unwrap(), Some(200));
    assert_eq!(metadata.u32("t.u32").unwrap(), Some(4_000_000_000));
    assert_eq!(metadata.f32("t.f32").unwrap(), Some(0.5));
    assert_eq!(metadata.f32("t.f64").unwrap(), Some(0.1));
    assert_eq!(metadata.bool("t.bool").unwrap(), Some(true));
    assert_eq!(metadata.text("t.text").unwrap(), Some("Lōkahi"));
    assert_eq!(metadata.texts("t.texts").unwrap().unwrap(), ["a", "", "ʻokina"]);
    assert_eq!(metadata.f32s("t.f32s").unwrap(), Some(vec![0.25, -1.5]));
    refused(metadata.u32s("t.i32s"), "BadConfig", &["`t.i32s`", "an array of 3"]);
    let array = |key: &str| metadata.iter().find(|(k, _)| *k == key).unwrap().1.array().unwrap();
    assert_eq!(array("t.i32s"), &Elements::I32(vec![1, -2, 3]));
    assert_eq!(array("t.bools"), &Elements::Bool(vec![true, false]));
    let nested = [Elements::I32(vec![1, 2]), Elements::I32(vec![3])];
    assert_eq!(array("t.nested"), &Elements::Array(nested.to_vec()));

    let want: Vec<f32> = (0u8..192).map(|i| (f32::from(i) - 96.) / 8.).collect();
    for (name, kind) in
        [("x.f32", GgmlType::F32), ("x.f16", GgmlType::F16), ("x.bf16", GgmlType::BF16)]
    {
        assert_eq!(gguf.header().info(name).unwrap().kind, kind);
        let tensor = gguf.get(name).unwrap();
        assert_eq!((tensor.shape(), tensor.to_f32()), (&[3, 64][..], want.clone()), "{name}");
    }
    assert_eq!(gguf.get("d3").unwrap().shape(), [2, 3, 4]);
    assert_eq!(gguf.get("v").unwrap().to_f32(), [0., 1., 2., 3., 4.]);
    // Half a step of the coarsest block: 12 / 127, 12 / 8, 3.875 / 15.
    for (name, kind, block, dtype, error) in [
        ("x.q8_0", GgmlType::Q8_0, 34, DType::Q8_0, 0.048),
        ("x.q4_0", GgmlType::Q4_0, 18, DType::Q4_1, 0.751),
        ("x.q4_1", GgmlType::Q4_1, 20, DType::Q4_1, 0.131),
    ] {
        let info = gguf.header().info(name).unwrap();
        assert_eq!((info.kind, info.shape.as_slice()), (kind, &[3, 64][..]), "{name}");
        assert_eq!(gguf.raw(name).unwrap().len(), 6 * block, "{name}");
        let tensor = gguf.get(name).unwrap();
        assert_eq!((tensor.shape(), tensor.dtype()), (&[3, 64][..], dtype), "{name}");
        let off = tensor.to_f32().iter().zip(&want).map(|(x, want)| (x - want).abs()).collect();
        let worst = Vec::into_iter(off).fold(0f32, f32::max);
        assert!(worst > 0. && worst < error, "{name}: {worst}");
        if kind.name() == dtype.name() {
            let tensors = BTreeMap::from([(name.to_owned(), tensor)]);
            let written = write(&Metadata::new(FILE), &tensors).unwrap();
            assert_eq!(parse(&written).unwrap().raw(name).unwrap(), gguf.raw(name).unwrap());
        }
    }
    // The first block of `x` is -12 to -8.125: the scale of its bytes is 12 / 127.
    let scale = half::f16::from_f32(12. / 127.).to_bits().to_le_bytes();
    assert_eq!(gguf.raw("x.q8_0").unwrap()[..3], [scale[0], scale[1], (-127i8) as u8]);
    // Known by name, and no more.
    assert_eq!(gguf.header().info("x.q5_0").unwrap().kind, GgmlType::Other("Q5_0"));
    refused(gguf.raw("x.q5_0"), "Unsupported", &["x.q5_0", "Q5_0", "Q8_0"]);
    refused(gguf.get("x.q5_0"), "Unsupported", &[FILE, "x.q5_0", "Q5_0", "Q8_0"]);
    refused(gguf.raw("x"), "MissingTensor", &[FILE, "x"]);
}

#[test]
fn a_prefix_says_how_much_more_it_needs() {
    let bytes = include_bytes!("../fixtures/gguf/every-type.gguf");
    let (len, whole) = (bytes.len() as u64, parse(bytes).unwrap());
    // From every beginning, the demands lead to the header, and each can be met.
    for start in [0, 1, 4, 23, 24, 100] {
        let (mut have, mut steps) = (start, 0);
        let header = loop {
            match Header::parse(FILE, &bytes[..have], len).unwrap() {
                Progress::Done(header) => break header,
                Progress::More(wanted) => {
                    assert!(wanted > have as u64 && wanted <= len);
                    (have, steps) = (wanted as usize, steps + 1);
                }
            }
        };
        assert_eq!(&header, whole.header());
        // The numbers were not needed.
        assert!(steps > 10 && (have as u64) < header.info("x.f32").unwrap().range.start + 32);
    }
}

#[test]
fn settings_of_another_type_are_refused_by_name() {
    let mut metadata = Metadata::new(FILE);
    metadata.insert("text", "llama");
    metadata.insert("float", f32::NAN);
    metadata.insert("huge", 1e300f64);
    metadata.insert("minus", -1i32);
    metadata.insert("list", Elements::U8(vec![1]));
    refused(metadata.u32("text"), "BadConfig", &[FILE, "`text`", "whole number", "llama"]);
    refused(metadata.f32("float"), "BadConfig", &["`float`", "finite", "NaN"]);
    refused(metadata.f32("huge"), "BadConfig", &["`huge`", "finite"]);
    refused(metadata.u32("minus"), "BadConfig", &["`minus`", "-1"]);
    refused(metadata.u32("list"), "BadConfig", &["`list`", "an array of 1"]);
    refused(metadata.u32s("minus"), "BadConfig", &["`minus`", "an array"]);
    refused(metadata.texts("list"), "BadConfig", &["`list`", "texts"]);
    refused(metadata.bool("text"), "BadConfig", &["`text`", "true or false"]);
    assert_eq!(metadata.u32("none").unwrap(), None);
    refused(metadata.need("none", Metadata::u32), "BadConfig", &["`none`", "nothing"]);
    assert_eq!(metadata.need("text", Metadata::text).unwrap(), "llama");
}

#[test]
fn what_llama_cpp_cannot_hold_is_not_written() {
    let metadata = Metadata::new(FILE);
    let one = |name: &str, shape: &[usize]| {
        let data = Data::F32(vec![0.; shape.iter().product()]);
        BTreeMap::from([(name.to_owned(), Tensor::new(shape.to_vec(), data).unwrap())])
    };
    assert!(write(&metadata, &one(&"n".repeat(63), &[1, 1, 1, 1])).is_ok());
    refused(write(&metadata, &one(&"n".repeat(64), &[1])), "BadArgument", &["nnn", "63"]);
    refused(write(&metadata, &one("five", &[1; 5])), "ShapeMismatch", &["five", "4 dimensions"]);
}

// Hostile files

#[test]
fn hostile_truncated_file() {
    let whole = small();
    assert!(parse(&whole).is_ok());
    // All but the padding is needed: an error every time, and no panic.
    for cut in 0..whole.len() - 26 {
        let error = refused(parse(&whole[..cut]), "BadFile", &[FILE]);
        assert!(cut < 4 || error.to_string().contains("truncated"), "{cut}: {error}");
        // The same bytes as the start of a longer file are no error.
        let more = Header::parse(FILE, &whole[..cut], whole.len() as u64).unwrap();
        assert_eq!(matches!(more, Progress::Done(_)), cut >= 143, "{cut}");
    }
    refused(parse(&[]), "BadFile", &["empty"]);
}

#[test]
fn hostile_files_of_other_kinds() {
    for (bytes, name) in [
        (&b"<!DOCTYPE html><html>"[..], "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"PK\x03\x04 and so on", "zip"),
        (b"algg\x01\0\0\0", "ggla"),
        (b"lmgg\x01\0\0\0", "before GGUF"),
        (b"tjgg\x03\0\0\0", "before GGUF"),
        (b"FUGG\x03\0\0\0", "other first bytes"),
    ] {
        refused(parse(bytes), "BadFile", &[FILE, name]);
    }
}

#[test]
fn hostile_versions() {
    let mut bytes = small();
    for (version, name) in [
        (1u32.to_le_bytes(), "version 1"),
        (3u32.to_be_bytes(), "version 3, big-endian"),
        (2u32.to_be_bytes(), "version 2, big-endian"),
        (4u32.to_le_bytes(), "version 4"),
        (0u32.to_le_bytes(), "version 0"),
    ] {
        bytes[4..8].copy_from_slice(&version);
        refused(parse(&bytes), "Unsupported", &[FILE, name, "2 and 3, little-endian"]);
    }
}

#[test]
fn hostile_counts_claim_gigabytes() {
    for count in [1, 1000, u64::from(u32::MAX), u64::MAX / 24, u64::MAX / 13, u64::MAX] {
        refused(parse(&claiming(count, 0, &[], &[], &[])), "BadFile", &["tensor", "truncated"]);
        refused(parse(&claiming(0, count, &[], &[], &[])), "BadFile", &["metadata", "truncated"]);
    }
}

#[test]
fn hostile_lengths_claim_gigabytes() {
    for len in [100, u64::from(u32::MAX), u64::MAX - 7, u64::MAX] {
        let names: &[&str] = &[FILE, "truncated", &len.to_string()];
        let claim = len.to_le_bytes();
        let key = claiming(0, 1, &[[&claim[..], b"key"].concat()], &[], &[]);
        refused(parse(&key), "BadFile", names);
        let name = claiming(1, 0, &[], &[[&claim[..], &[b'x'; 24]].concat()], &[]);
        refused(parse(&name), "BadFile", names);
        refused(parse(&with_entry("k", 8, &claim)), "BadFile", names);
        for code in 0..=12 {
            let bytes = with_entry("k", 9, &array(code, len, &[]));
            refused(parse(&bytes), "BadFile", &[FILE, "\"k\""]);
        }
    }
}

#[test]
fn hostile_header_without_end() {
    // A file of 1 TiB whose header would never end: it is not fetched.
    let bytes = with_entry("k", 9, &array(0, 1 << 39, &[]));
    refused(Header::parse(FILE, &bytes, 1 << 40), "BadFile", &["\"k\"", "longest header"]);
    let bytes = with_entry("k", 9, &array(0, 50_000_000, &[]));
    let more = Header::parse(FILE, &bytes, 1 << 40).unwrap();
    assert_eq!(more, Progress::More(50_000_000 + 24 + 9 + 4 + 12));
}

#[test]
fn hostile_arrays_in_arrays() {
    let nest = |depth: u32| (1..depth).fold(array(0, 1, &[7]), |inner, _| array(9, 1, &inner));
    assert!(parse(&with_entry("k", 9, &nest(4))).is_ok());
    refused(parse(&with_entry("k", 9, &nest(5))), "BadFile", &["\"k\"", "4 arrays"]);
    refused(parse(&with_entry("k", 9, &nest(100_000))), "BadFile", &["\"k\"", "4 arrays"]);
}

#[test]
fn hostile_values() {
    refused(parse(&with_entry("k", 13, &[0; 8])), "BadFile", &["\"k\"", "unknown type 13"]);
    refused(parse(&with_entry("k", 9, &array(13, 1, &[0]))), "BadFile", &["unknown type 13"]);
    refused(parse(&with_entry("k", 7, &[2])), "BadFile", &["\"k\"", "truth value of 2"]);
    let bools = array(7, 3, &[1, 0, 255]);
    refused(parse(&with_entry("k", 9, &bools)), "BadFile", &["truth value of 255"]);
    refused(parse(&with_entry("k", 8, &text(b"\xff\xfe"))), "BadFile", &["\"k\"", "UTF-8"]);
    let key = [&text(b"\xc3\x28")[..], &[0; 5]].concat();
    refused(parse(&file(&[key], &[], &[])), "BadFile", &["entry 0", "UTF-8"]);
    let name = [&text(b"\x80")[..], &[0; 16]].concat();
    refused(parse(&file(&[], &[name], &[])), "BadFile", &["info 0", "UTF-8"]);
}

#[test]
fn hostile_doubled_names() {
    let key = entry("k", 0, &[1]);
    refused(parse(&file(&[key.clone(), key], &[], &[])), "BadFile", &["\"k\"", "second value"]);
    let twice = [info("t", &[1], 0, 0), info("t", &[1], 0, 32)];
    refused(parse(&with_infos(&twice, 64)), "BadFile", &["\"t\"", "second tensor"]);
}

#[test]
fn hostile_alignment() {
    let with = |alignment: u32, offset: u64| {
        let entry = entry("general.alignment", 4, &alignment.to_le_bytes());
        let infos = [info("t", &[1], 0, 0), info("u", &[1], 0, offset)];
        file(&[entry], &infos, &[0; 256])
    };
    assert!(parse(&with(64, 64)).is_ok());
    assert!(parse(&with(8, 8)).is_ok());
    refused(parse(&with(64, 32)), "BadFile", &["\"u\"", "offset 32", "alignment 64"]);
    for alignment in [0, 3, 33, u32::MAX, 1 << 31] {
        let names = [FILE, "general.alignment", "power of two", &alignment.to_string()];
        refused(parse(&with(alignment, 0)), "BadConfig", &names);
    }
    let text = file(&[entry("general.alignment", 8, &text("32"))], &[], &[]);
    refused(parse(&text), "BadConfig", &["general.alignment", "\"32\""]);
    refused(parse(&with_infos(&[info("t", &[1], 0, 4)], 64)), "BadFile", &["offset 4"]);
}

#[test]
fn hostile_ranges() {
    let one = |dimensions: &[u64], kind: u32, offset: u64| {
        parse(&with_infos(&[info("t", dimensions, kind, offset)], 64)).map(drop)
    };
    assert!(one(&[16], 0, 0).is_ok());
    refused(one(&[17], 0, 0), "BadFile", &["\"t\"", "truncated"]);
    refused(one(&[9], 0, 32), "BadFile", &["\"t\"", "truncated"]);
    refused(one(&[1], 0, 1 << 40), "BadFile", &["\"t\"", "truncated"]);
    refused(one(&[1], 0, u64::MAX - 31), "BadFile", &["\"t\"", "truncated"]);
    refused(one(&[8], 0, u64::MAX - 31), "BadFile", &["\"t\"", "offset"]);
    refused(one(&[1 << 62], 0, 0), "BadFile", &["\"t\"", "memory"]);
    refused(one(&[1 << 32, 1 << 32], 0, 0), "BadFile", &["\"t\"", "memory"]);
    refused(one(&[1; 5], 0, 0), "BadFile", &["\"t\"", "5 dimensions"]);
    refused(one(&[1; 4], 9, 0), "BadFile", &["\"t\"", "unknown type 9"]);
    refused(one(&[1], u32::MAX, 0), "BadFile", &["\"t\"", "unknown type"]);
    // An empty tensor takes no room, and none is no number.
    assert!(one(&[0, 1 << 62], 0, 64).is_ok());
    assert!(one(&[], 0, 0).is_ok());
}

#[test]
fn hostile_overlap() {
    let two = |first: u64, second: u64| {
        let infos = [info("a", &[16], 0, first), info("b", &[8], 0, second)];
        parse(&with_infos(&infos, 160)).map(drop)
    };
    assert!(two(0, 64).is_ok());
    assert!(two(32, 0).is_ok());
    for (first, second) in [(0, 0), (0, 32), (32, 32), (32, 64), (64, 96)] {
        refused(two(first, second), "BadFile", &["\"a\"", "overlapping", "\"b\""]);
    }
}

#[test]
fn hostile_blocks() {
    let q8 =
        |dimensions: &[u64]| parse(&with_infos(&[info("t", dimensions, 8, 0)], 34 * 4)).map(drop);
    assert!(q8(&[64, 2]).is_ok());
    refused(q8(&[64, 3]), "BadFile", &["\"t\"", "truncated"]);
    // 128 numbers, but no row is whole blocks.
    refused(q8(&[16, 8]), "BadFile", &["\"t\"", "rows of 16", "Q8_0", "32"]);
    refused(q8(&[]), "BadFile", &["\"t\"", "rows of 1"]);
}

#[test]
fn hundred_thousand_tensors() {
    let name = |i: u64| format!("blk.{i}.attn_q.weight");
    let infos: Vec<_> = (0..100_000).map(|i| info(&name(i), &[2], 0, 32 * i)).collect();
    let bytes = with_infos(&infos, 3_200_000);
    let start = std::time::Instant::now();
    let gguf = parse(&bytes).unwrap();
    let middle = gguf.header().info(&name(77_777)).unwrap();
    assert_eq!(middle.range.end - middle.range.start, 8);
    // A quadratic reader takes minutes.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
