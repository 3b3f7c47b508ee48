//! The little nets of the fixtures, whole: `x + down(q(x) + tanh(v(x)))`, twice. With the adapter
//! merged they give what the library's own net gave.

use std::collections::BTreeMap;
use std::path::Path;

use lokahi::adapter::Adapter;
use lokahi::format::{AdapterFile, Base, Conventions, Tensors, peft};
use lokahi::tensor::Tensor;

use crate::format::close;

type Weights = BTreeMap<String, Tensor>;

/// `y = W x + b` for each row.
fn linear(weights: &Weights, module: &str, x: &[f64], inputs: usize) -> Vec<f64> {
    let weight = weights[&format!("{module}.weight")].to_f32();
    let bias = weights.get(&format!("{module}.bias")).map(Tensor::to_f32);
    let out = weight.len() / inputs;
    let row = |x: &[f64]| {
        let dot = |o: usize| {
            let row = &weight[o * inputs..][..inputs];
            let sum: f64 = row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
            sum + bias.as_ref().map_or(0.0, |b| f64::from(b[o]))
        };
        (0..out).map(dot).collect::<Vec<_>>()
    };
    x.chunks(inputs).flat_map(row).collect()
}

fn run(weights: &Weights, input: &Tensor) -> Vec<f64> {
    let width = *input.shape().last().unwrap();
    let mut x: Vec<f64> = input.to_f32().into_iter().map(f64::from).collect();
    for layer in 0.. {
        let name = |part: &str| format!("layers.{layer}.{part}");
        if !weights.contains_key(&name("down_proj.weight")) {
            assert!(layer > 0);
            break;
        }
        let q = linear(weights, &name("self_attn.q_proj"), &x, width);
        let v = linear(weights, &name("self_attn.v_proj"), &x, width);
        let inner: Vec<f64> = q.iter().zip(&v).map(|(q, v)| q + v.tanh()).collect();
        let hidden = inner.len() / (x.len() / width);
        let down = linear(weights, &name("down_proj"), &inner, hidden);
        x.iter_mut().zip(&down).for_each(|(x, d)| *x += d);
    }
    x
}

fn merged(base: &Weights, adapter: &Adapter) -> Weights {
    let mut weights = base.clone();
    for (module, delta) in &adapter.deltas {
        let name = delta.tensor(module);
        weights.insert(name.clone(), delta.merge(&base[&name], 1.0, false).unwrap());
        if let Some(bias) = &delta.bias {
            let weight = weights.get_mut(&format!("{module}.bias")).unwrap();
            for (i, b) in bias.iter().enumerate() {
                weight.set(i, f64::from(weight.at(i)) + f64::from(delta.scale) * f64::from(*b));
            }
        }
    }
    weights.extend(adapter.replaced.clone());
    weights
}

#[test]
fn nets_of_linear_layers_give_the_outputs_of_peft_and_lycoris() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters");
    let mut nets = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        let case = folder.display().to_string();
        let file = |name: &str| std::fs::read(folder.join(name));
        let (base, expected) =
            (file("base.safetensors").unwrap(), file("expected.safetensors").unwrap());
        let (base, expected) = (
            Tensors::parse("base", &base).unwrap(),
            Tensors::parse("expected", &expected).unwrap(),
        );
        let weights: Weights =
            base.names().into_iter().map(|n| (n.clone(), base.get(&n).unwrap())).collect();
        if expected.shape("output").is_none() || !weights.contains_key("layers.0.down_proj.weight")
        {
            continue;
        }
        let adapter = match file("adapter.safetensors") {
            Ok(bytes) => {
                let tensors = Tensors::parse("adapter", &bytes).unwrap();
                let mut file = AdapterFile::open(None, tensors, &Conventions::default()).unwrap();
                let shapes = weights.iter().map(|(name, t)| (name.clone(), t.shape().to_vec()));
                file.resolve(&Base::new(shapes).unwrap()).unwrap();
                file.read().unwrap()
            }
            Err(_) => {
                let names = ["adapter_config.json", "adapter_model.safetensors"];
                peft::read(&names.into_iter().map(|n| (n, file(n).unwrap())).collect()).unwrap()
            }
        };
        let input = expected.get("input").unwrap();
        let want = |name: &str| expected.get(name).unwrap().to_f32();
        close(&format!("{case}: base"), &run(&weights, &input), &want("output_base"));
        close(
            &format!("{case}: adapter"),
            &run(&merged(&weights, &adapter), &input),
            &want("output"),
        );
        nets += 1;
    }
    assert!(nets >= 20, "{nets} nets");
}
