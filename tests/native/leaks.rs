//! Swapping adapters takes no memory, and deleted ones leave none behind.

use lokahi::{
    adapter::Adapter,
    backend::Backend,
    cpu::Cpu,
    format::{Checkpoint, peft},
    gpu::{Device, Gpu},
    model::Model,
};

use crate::trials::fixtures::{PLACES, PLACES_ADAPTERS, files};

/// What a backend holds, as far as it can be counted.
type Counts<B> = fn(&mut B) -> Vec<u64>;

fn of_cpu(cpu: &mut Cpu) -> Vec<u64> {
    let memory = cpu.memory();
    vec![memory.buffers as u64, memory.bytes]
}

/// A GPU also keeps bind groups and compiled kernels.
fn of_gpu(gpu: &mut Gpu) -> Vec<u64> {
    let memory = gpu.memory();
    let kept = [gpu.bind_groups(), gpu.device().pipelines()].map(|n| n as u64);
    [[memory.buffers as u64, memory.bytes], kept].concat()
}

fn gpu() -> Gpu {
    pollster::block_on(Device::open()).expect("a Vulkan device").backend()
}

fn model<B: Backend>(backend: B) -> Model<B> {
    Model::new(backend, &Checkpoint::read(&files(PLACES)).unwrap(), Some(8)).unwrap()
}

/// One adapter of each method.
fn adapters() -> Vec<(&'static str, Adapter)> {
    let some = PLACES_ADAPTERS.iter().filter(|(name, _)| name.starts_with("fi-"));
    some.map(|(name, folder)| (*name, peft::read(&files(folder)).unwrap())).collect()
}

/// One token: with what is active, on one and the same workspace.
fn run<B: Backend>(model: &mut Model<B>) {
    pollster::block_on(model.logits(&[1]).unwrap()).unwrap();
}

/// Every way to run is used once; then a thousand swaps change no count.
fn swaps<B: Backend>(backend: B, counts: Counts<B>) {
    let mut model = model(backend);
    let names: Vec<_> = adapters()
        .iter()
        .map(|(name, adapter)| model.load_adapter(name, adapter).map(|()| *name).unwrap())
        .collect();
    let mut before = None;
    for round in 0..1000 {
        let one = names[round % names.len()];
        model.set_adapters(&[(one, 1.0)]).unwrap();
        // Counts are compared after every swap; some of them run, as the first ones do.
        if round < 10 || round % 100 < 4 {
            run(&mut model);
            model.set_adapters(&[]).unwrap();
            run(&mut model);
        }
        model.set_adapters(&[]).unwrap();
        if round == 9 {
            before = Some(counts(model.backend()));
        } else if round > 9 {
            assert_eq!(Some(counts(model.backend())), before, "round {round}");
        }
    }
}

/// A hundred times: load, run, merge, run, unmerge, delete.
fn loads<B: Backend>(backend: B, counts: Counts<B>) {
    let mut model = model(backend);
    let adapters = adapters();
    let mut before = None;
    for round in 0..100 {
        let (name, adapter) = &adapters[round % adapters.len()];
        model.load_adapter(name, adapter).unwrap();
        model.set_adapters(&[(name, 0.5)]).unwrap();
        run(&mut model);
        model.merge_adapters().unwrap();
        run(&mut model);
        model.unmerge_adapters();
        model.delete_adapter(name).unwrap();
        run(&mut model);
        // By then each method has compiled its kernels and grown its scratch memory.
        match round {
            0..3 => before = Some(counts(model.backend())),
            _ => assert_eq!(Some(counts(model.backend())), before, "round {round}"),
        }
    }
}

#[test]
fn swaps_take_no_memory_on_cpu() {
    swaps(Cpu::default(), of_cpu);
}

#[test]
fn swaps_take_no_memory_on_gpu() {
    swaps(gpu(), of_gpu);
}

#[test]
fn deleted_adapters_leave_nothing_on_cpu() {
    loads(Cpu::default(), of_cpu);
}

#[test]
fn deleted_adapters_leave_nothing_on_gpu() {
    loads(gpu(), of_gpu);
}

/// The counts themselves count.
#[test]
fn a_loaded_adapter_is_counted() {
    // Buffers of a layer with an adapter on all of it, and how many bytes more than its numbers a
    // delta takes at most.
    fn check<B: Backend>(backend: B, buffers: usize, more: u64) {
        let mut model = model(backend);
        let base = model.backend().memory();
        assert!(base.buffers > 0 && base.bytes > model.parameters() as u64);
        let (name, adapter) = &adapters()[0];
        model.load_adapter(name, adapter).unwrap();
        let loaded = model.backend().memory();
        let numbers: usize = adapter.deltas.values().map(|d| d.method().parameters()).sum();
        let layers = model.config().num_hidden_layers;
        assert_eq!(adapter.deltas.len(), 7 * layers);
        assert_eq!(loaded.buffers - base.buffers, buffers * layers);
        let (bytes, most) = (loaded.bytes - base.bytes, more * adapter.deltas.len() as u64);
        assert!((4 * numbers as u64..=4 * numbers as u64 + most).contains(&bytes), "{bytes}");
        model.delete_adapter(name).unwrap();
        assert_eq!(model.backend().memory(), base);
    }
    check(Cpu::default(), 7, 0);
    // The seven deltas of a layer are in eight buffers of whole 16 bytes, two for each product: at most
    // 8 * 15 / 7 more a delta. Each has a header of 68.
    check(gpu(), 8, 68 + 18);
}

/// A token takes as many dispatches with adapters as without, and few: 9 a layer, and 3 for the
/// table, the first norm and the head.
#[test]
fn adapters_take_no_dispatch() {
    let mut model = model(gpu());
    let names: Vec<_> = adapters().iter().map(|(name, _)| *name).collect();
    for (name, adapter) in adapters() {
        model.load_adapter(name, &adapter).unwrap();
    }
    let token = |model: &mut Model<Gpu>| {
        let before = model.backend().dispatches();
        run(model);
        model.backend().dispatches() - before
    };
    let base = 9 * model.config().num_hidden_layers + 3;
    assert_eq!(token(&mut model), base);
    let mixes = [&[(names[0], 1.0)][..], &[(names[0], 0.5), (names[1], 0.5), (names[2], -1.0)]];
    for mix in mixes {
        model.set_adapters(mix).unwrap();
        assert_eq!(token(&mut model), base, "{mix:?}");
        model.merge_adapters().unwrap();
        assert_eq!(token(&mut model), base, "{mix:?} merged");
        model.unmerge_adapters();
    }
}
