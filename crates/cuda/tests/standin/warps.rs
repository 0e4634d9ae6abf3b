//! What the threads of a warp do together, and the twins of tensor-core instructions, against plain loops.

use crate::device::{Device, OK, launch};
use ironlearn_testkit::rng::Rng;

/// Runs a kernel of one block of `threads` that writes `count` numbers behind its only argument.
fn numbers<T: Copy + Default>(text: &str, threads: u32, count: usize) -> Option<Vec<T>> {
    let device = Device::open()?;
    let (function, y) = (device.function(text, "f"), device.empty(count * size_of::<T>()));
    assert_eq!(launch!(device, function, [1, 1, 1], [threads, 1, 1], 0, y), OK);
    Some(device.read(y, count))
}

#[test]
fn shuffles() {
    let text = r#"extern "C" __global__ void f(int* y) {
        int t = threadIdx.x, v = 100 * t;
        y[t] = __shfl_sync(~0u, v, 5);
        y[64 + t] = __shfl_up_sync(~0u, v, 3);
        y[128 + t] = __shfl_down_sync(~0u, v, 3);
        y[192 + t] = __shfl_xor_sync(~0u, v, 9);
        y[256 + t] = __shfl_down_sync(~0u, v, 1, 8);
        if (t % 32 < 8) y[320 + t] = __shfl_sync(0xFFu, v, 9);  // a lane that was not asked
        else y[320 + t] = __reduce_add_sync(0xFFFFFF00u, t);
    }"#;
    let Some(y) = numbers::<i32>(text, 64, 384) else { return };
    for t in 0..64usize {
        let (lane, warp) = (t % 32, t / 32 * 32);
        let of = |from: usize| 100 * (warp + from) as i32;
        assert_eq!(y[t], of(5));
        assert_eq!(y[64 + t], of(if lane < 3 { lane } else { lane - 3 }));
        assert_eq!(y[128 + t], of(if lane > 28 { lane } else { lane + 3 }));
        assert_eq!(y[192 + t], of(lane ^ 9));
        assert_eq!(y[256 + t], of(if lane % 8 == 7 { lane } else { lane + 1 }));
        let sum = (8..32).map(|lane| (warp + lane) as i32).sum();
        assert_eq!(y[320 + t], if lane < 8 { -1 } else { sum });
    }
}

#[test]
fn votes_and_bits() {
    let text = r#"extern "C" __global__ void f(unsigned* y) {
        unsigned t = threadIdx.x, odd = __ballot_sync(~0u, t & 1);
        if (t == 7) return;
        y[t] = t % 3 ? odd : __popc(odd) + (__ffs(odd) << 8) + (__clz(odd) << 16);
        __syncwarp();
        unsigned all = __all_sync(~0u, t < 20), any = __any_sync(~0u, t == 19), none = __any_sync(~0u, t == 7);
        y[32 + t] = all << 2 | any << 1 | none;
        y[64 + t] = __activemask();
        __syncwarp();
    }"#;
    let Some(y) = numbers::<u32>(text, 20, 84) else { return };
    for t in (0..20).filter(|&t| t != 7) {
        let odd = 0xAAAAA_u32;
        assert_eq!(y[t], if t % 3 == 0 { 10 + (2 << 8) + (12 << 16) } else { odd });
        assert_eq!(y[32 + t], 0b110, "without the lane that has ended");
        assert_eq!(y[64 + t], 0xF_FF7F);
    }
    assert_eq!(y[7], u32::MAX);
}

#[test]
fn atomics_count_every_thread() {
    let text = r#"extern "C" __global__ void f(int* y) {
        int t = threadIdx.x;
        if (t == 0) for (int i = 0; i < 8; i++) y[i] = 0;
        __syncthreads();
        atomicAdd(&y[0], 1);
        atomicAdd(reinterpret_cast<float*>(&y[1]), 0.5);
        atomicMax(&y[2], t * 7 % 300);
        atomicMin(&y[3], -t);
        atomicOr(&y[4], 1 << t % 32);
        atomicExch(&y[5], 9);
        for (int old = y[6], seen; (seen = atomicCAS(&y[6], old, old + 2)) != old;) old = seen;
        atomicAdd(reinterpret_cast<unsigned*>(&y[7]), 4u);
    }"#;
    let Some(y) = numbers::<i32>(text, 300, 8) else { return };
    let most = (0..300).map(|t| t * 7 % 300).max().unwrap();
    assert_eq!(y, [300, 150f32.to_bits() as i32, most, -299, -1, 9, 600, 1200]);
}

#[test]
fn numbers_convert_as_on_the_device() {
    let text = r#"extern "C" __global__ void f(long long* y) {
        float nan = __int_as_float(0x7FC00000);
        y[0] = __float2int_rn(2.5f); y[1] = __float2int_rz(-1e20f); y[2] = __float2int_rn(nan);
        y[3] = __float2uint_rz(-3.0f); y[4] = __double2int_ru(1.25); y[5] = __float2ll_rz(1e30f);
        y[6] = __umulhi(0xD2511F53u, 0x87654321u); y[7] = __dp4a(0x01FF0203, 0x7F808001, 5);
        y[8] = abs(-3ll) + abs((long)-4) + abs(-5); y[9] = isnan(max(nan, nan)) && max(nan, 1.0f) == 1.0f;
        y[10] = il_sim::float_to_bf16(1.00390625f); y[11] = il_sim::float_to_half(65504.0f);
        y[12] = il_sim::float_to_tf32(1.0f + 0x1p-11f) == __float_as_uint(1.0f + 0x1p-10f);
        y[13] = __clzll(1) + __ffsll(16) + __popcll(-1ll); y[14] = __brev(6u); y[15] = __byte_perm(0x33221100, 0x77665544, 0x7531);
    }"#;
    let Some(y) = numbers::<i64>(text, 1, 16) else { return };
    let high = (0xD251_1F53_u64 * 0x8765_4321) >> 32;
    let dot = 127 - i64::from(-1i8) * 128 + 2 * -128 + 3 + 5;
    let expected = [
        2,
        i64::from(i32::MIN),
        0,
        0,
        2,
        i64::MAX,
        high as i64,
        dot,
        12,
        1,
        0x3F80,
        0x7BFF,
        1,
        63 + 5 + 64,
        0x6000_0000,
        0x7755_3311,
    ];
    assert_eq!(y, expected);
}

/// The kernel for a product of a 16 x `k` matrix, row by row, with a `k` x 8 one, column by column, both as 32-bit
/// registers, `e` numbers each. Fragments are loaded here as the PTX ISA draws them.
fn product_text(twin: &str, sum: &str) -> String {
    r#"extern "C" __global__ void f(const unsigned* a, const unsigned* b, SUM* d) {
        int g = threadIdx.x / 4, q = threadIdx.x % 4;
        unsigned ra[4] = {a[g * 8 + q], a[(g + 8) * 8 + q], a[g * 8 + q + 4], a[(g + 8) * 8 + q + 4]};
        unsigned rb[2] = {b[g * 8 + q], b[g * 8 + q + 4]};
        int at[4] = {g * 8 + 2 * q, g * 8 + 2 * q + 1, (g + 8) * 8 + 2 * q, (g + 8) * 8 + 2 * q + 1};
        SUM rd[4];
        for (int i = 0; i < 4; i++) rd[i] = d[at[i]];
        il_sim::TWIN(rd, ra, rb);
        for (int i = 0; i < 4; i++) d[at[i]] = rd[i];
    }"#
    .replace("SUM", sum)
    .replace("TWIN", twin)
}

/// `decode(register, i)` is the i-th of its `e` numbers.
fn product(twin: &str, sum: &str, e: usize, registers: fn(&mut Rng) -> u32, decode: fn(u32, usize) -> f64) {
    let Some(device) = Device::open() else { return };
    let mut rng = Rng::new(7);
    let a: Vec<u32> = (0..16 * 8).map(|_| registers(&mut rng)).collect();
    let b: Vec<u32> = (0..8 * 8).map(|_| registers(&mut rng)).collect();
    let (at_a, at_b) = (device.with(&a), device.with(&b));
    let integer = sum == "int";
    let start: Vec<u32> = (0..16 * 8).map(|i| if integer { i } else { (i as f32).to_bits() }).collect();
    let at_d = device.with(&start);
    let function = device.function(&product_text(twin, sum), "f");
    assert_eq!(launch!(device, function, [1, 1, 1], [32, 1, 1], 0, at_a, at_b, at_d), OK);
    for (i, d) in device.read::<u32>(at_d, 16 * 8).into_iter().enumerate() {
        let (row, column) = (i / 8, i % 8);
        let pairs =
            (0..8 * e).map(|k| decode(a[row * 8 + k / e], k % e) * decode(b[column * 8 + k / e], k % e));
        let expected = i as f64 + pairs.sum::<f64>();
        let found = if integer { f64::from(d as i32) } else { f64::from(f32::from_bits(d)) };
        assert!(
            (found - expected).abs() <= if integer { 0.0 } else { 1e-4 },
            "{twin}: {row} {column}: {found} {expected}"
        );
    }
}

/// A register with two numbers of 16 bits.
fn pair(rng: &mut Rng, bits: fn(f64) -> u16) -> u32 {
    let mut next = || u32::from(bits(rng.float(-2.0, 2.0)));
    next() | next() << 16
}

#[test]
fn tensor_core_products() {
    let bf16 = |r: u32, i: usize| half::bf16::from_bits((r >> (16 * i)) as u16).to_f64();
    product("mma_m16n8k16_bf16", "float", 2, |rng| pair(rng, |x| half::bf16::from_f64(x).to_bits()), bf16);
    let f16 = |r: u32, i: usize| half::f16::from_bits((r >> (16 * i)) as u16).to_f64();
    product("mma_m16n8k16_f16", "float", 2, |rng| pair(rng, |x| half::f16::from_f64(x).to_bits()), f16);
    let tf32 = |r: u32, _: usize| f64::from(f32::from_bits(r & !0x1FFF));
    product("mma_m16n8k8_tf32", "float", 1, |rng| (rng.float(-2.0, 2.0) as f32).to_bits(), tf32);
    let int8 = |r: u32, i: usize| f64::from((r >> (8 * i)) as i8);
    product("mma_m16n8k32_s8", "int", 4, |rng| rng.bits() as u32, int8);
}

#[test]
fn matrices_from_shared_memory() {
    let text = r#"extern "C" __global__ void f(unsigned* y) {
        __shared__ __align__(16) unsigned short s[32][8];  // four matrices, one below the other
        int t = threadIdx.x;
        for (int c = 0; c < 8; c++) s[t][c] = t * 8 + c;
        __syncwarp();
        unsigned plain[4], turned[4];
        il_sim::ldmatrix_x4(plain, s[t]);
        il_sim::ldmatrix_x4_trans(turned, s[t]);
        for (int m = 0; m < 4; m++) { y[t * 4 + m] = plain[m]; y[128 + t * 4 + m] = turned[m]; }
    }"#;
    let Some(y) = numbers::<u32>(text, 32, 256) else { return };
    let element = |m: usize, row: usize, column: usize| (m * 64 + row * 8 + column) as u32;
    for t in 0..32 {
        for m in 0..4 {
            let (g, q) = (t / 4, t % 4 * 2);
            assert_eq!(y[t * 4 + m], element(m, g, q) | element(m, g, q + 1) << 16);
            assert_eq!(y[128 + t * 4 + m], element(m, q, g) | element(m, q + 1, g) << 16);
        }
    }
}
