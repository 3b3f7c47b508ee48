// What the device can do at most: numbers read, and multiply-adds.

@group(0) @binding(0) var<storage, read> numbers: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(256)
fn read_all(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    var sum = vec4(0.0);
    for (var i = id.x; i < arrayLength(&numbers); i += 256 * groups.x) {
        sum += numbers[i];
    }
    out[id.x] = sum;
}

// Eight chains of its own for each thread, each 512 long: 16 384 multiply-adds.
@compute @workgroup_size(256)
fn multiply_add(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = numbers[id.x];
    let y = x * 0.5;
    var a = x; var b = x + 1; var c = x + 2; var d = x + 3;
    var e = x + 4; var f = x + 5; var g = x + 6; var h = x + 7;
    for (var i = 0; i < 512; i++) {
        a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y); d = fma(d, x, y);
        e = fma(e, x, y); f = fma(f, x, y); g = fma(g, x, y); h = fma(h, x, y);
    }
    out[id.x] = a + b + c + d + e + f + g + h;
}
