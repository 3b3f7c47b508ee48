//! The shaders' house rules, checked without a GPU: each file is in the kernel table and has a CPU
//! twin, each variant is valid WGSL, and the Rust structs have the shaders' layouts.

use std::{collections::BTreeSet, fs, path::Path};

use lokahi::gpu::{
    kernels::{Access, Kernel},
    params,
};
use naga::{AddressSpace, Module, TypeInner};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn modules() -> impl Iterator<Item = (String, Kernel, Module)> {
    let variants = Kernel::ALL.iter().flat_map(|&k| k.variants().iter().map(move |&w| (k, w)));
    variants.map(|(kernel, weight)| {
        let what = format!("{}.wgsl for {}", kernel.spec().name, weight.name());
        let text = kernel.wgsl(weight);
        let module = naga::front::wgsl::parse_str(&text)
            .unwrap_or_else(|error| panic!("{what}: {}", error.emit_to_string(&text)));
        (what, kernel, module)
    })
}

#[test]
fn every_file_is_in_the_table_and_has_a_twin() {
    let files = |folder: &str, ending: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
    };
    let shaders = files("shaders", ".wgsl");
    let table: BTreeSet<String> = Kernel::ALL.iter().map(|k| k.spec().name.to_owned()).collect();
    assert_eq!(shaders, table, "files in shaders/ and lines of the kernel table");
    // What a method does is a snippet that kernels share.
    let of_method = |name: &String| ["lora", "loha", "lokr"].iter().any(|m| name.starts_with(m));
    let snippets = files("shaders/common", ".wgsl");
    let snippets: Vec<_> = snippets.into_iter().filter(of_method).collect();
    assert_eq!(snippets.len(), 9, "three verbs of three methods: {snippets:?}");
    let twins = files("src/cpu", ".rs");
    let macro_text = fs::read_to_string(root().join("tests/trials/mod.rs")).unwrap();
    let (_, list) = macro_text.split_once("kernels: ").unwrap();
    let (list, _) = list.split_once(';').unwrap();
    let trials: BTreeSet<_> = list.split(',').map(|name| name.trim().to_owned()).collect();
    for shader in shaders.iter().chain(&snippets) {
        // On the CPU, products of one token and of several are one file.
        let twin = if shader == "linear_one" { "linear" } else { shader };
        assert!(twins.contains(twin), "shaders/{shader}.wgsl has no twin src/cpu/{twin}.rs");
        // Down and up are tried together: only their sum has a meaning outside the method.
        let trial = match shader.strip_suffix("_down").or(shader.strip_suffix("_up")) {
            Some(method) => format!("{method}_down_up"),
            None => shader.clone(),
        };
        assert!(trials.contains(&trial), "shaders/{shader}.wgsl has no trial {trial}");
    }
}

#[test]
fn every_variant_is_valid() {
    for (what, kernel, module) in modules() {
        let mut validator = naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            // What every WebGPU has: no optional feature, only the halves that WGSL unpacks itself.
            naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32,
        );
        validator.validate(&module).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let [entry] = &module.entry_points[..] else { panic!("{what}: one entry point") };
        assert_eq!((entry.name.as_str(), entry.workgroup_size), ("main", [64, 1, 1]), "{what}");
        let mut bindings: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| {
                variable.binding.as_ref().map(|binding| (binding.binding, variable.space))
            })
            .collect();
        bindings.sort_by_key(|(binding, _)| *binding);
        assert_eq!(bindings[0], (0, AddressSpace::Uniform), "{what}");
        let access = kernel.spec().bindings.iter().map(|access| match access {
            Access::Read => naga::StorageAccess::LOAD,
            Access::Write => naga::StorageAccess::LOAD | naga::StorageAccess::STORE,
        });
        let wanted: Vec<_> =
            (1..).zip(access.map(|access| AddressSpace::Storage { access })).collect();
        assert_eq!(bindings[1..], wanted[..], "{what}: bindings and the table's line");
    }
}

#[test]
fn structs_have_the_shaders_layout() {
    let mut seen = BTreeSet::new();
    for (what, _, module) in modules() {
        for (_, kind) in module.types.iter() {
            let TypeInner::Struct { members, .. } = &kind.inner else { continue };
            let name = kind.name.clone().unwrap();
            let shader: Vec<_> = members
                .iter()
                .map(|member| (member.name.as_deref().unwrap(), member.offset as usize))
                .collect();
            let (_, rust) = params::ALL.iter().find(|(rust, _)| *rust == name).expect(&what);
            assert_eq!(shader, rust.to_vec(), "{what}: struct {name}");
            seen.insert(name);
        }
    }
    let all: BTreeSet<_> = params::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(seen, all, "structs that no shader uses");
}
