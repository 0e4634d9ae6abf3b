//! cuBLASLt's products against plain loops.

use crate::device::{Device, OK, cu, synchronize};
use cudarc::cublaslt::sys::{
    self as lt, cublasComputeType_t as Compute, cublasLtEpilogue_t as Epilogue, cublasLtMatmulDesc_t,
    cublasLtMatmulDescAttributes_t as Attribute, cublasLtMatmulHeuristicResult_t as Heuristic,
    cublasLtMatmulPreferenceAttributes_t as Preferred, cublasLtMatrixLayout_t,
    cublasLtMatrixLayoutAttribute_t as LayoutAttribute, cublasStatus_t as Status, cudaDataType_t as Type,
};
use cudarc::driver::sys::{CUdeviceptr, CUgraph, CUgraphExec, CUstreamCaptureMode_enum as Mode};
use half::{bf16, f16};
use ironlearn_testkit::rng::Rng;
use std::ffi::c_void;
use std::ptr::{from_ref, null_mut};

const GOOD: Status = Status::CUBLAS_STATUS_SUCCESS;

/// D = epilogue(alpha op(A) op(B) + beta C + bias): what one is about.
#[derive(Clone, Copy, Debug)]
struct Case {
    types: (Type, Type),
    compute: Compute,
    transposed: (bool, bool),
    size: (usize, usize, usize),
    batches: usize,
    epilogue: Epilogue,
    scale: (f64, f64),
}

/// Column-major matrices of a batch, with gaps below and between them.
struct Matrices {
    rows: usize,
    columns: usize,
    leading: usize,
    stride: usize,
    values: Vec<f64>,
}

impl Matrices {
    fn random(rng: &mut Rng, ty: Type, rows: usize, columns: usize, batches: usize) -> Matrices {
        // A multiple of four, as products of integers want it.
        let leading = rows.next_multiple_of(4) + 4;
        let stride = leading * columns + 8;
        let values = (0..stride * batches).map(|_| round(ty, rng.float(-30.0, 30.0))).collect();
        Matrices { rows, columns, leading, stride, values }
    }

    fn at(&self, batch: usize, row: usize, column: usize) -> f64 {
        self.values[batch * self.stride + column * self.leading + row]
    }

    fn layout(&self, ty: Type, batches: usize) -> cublasLtMatrixLayout_t {
        let (rows, columns, leading) = (self.rows as u64, self.columns as u64, self.leading as i64);
        let mut layout = null_mut();
        assert_eq!(cu!([lt] cublasLtMatrixLayoutCreate(&mut layout, ty, rows, columns, leading)), GOOD);
        let set = |attribute, value: *const c_void, bytes| {
            assert_eq!(cu!([lt] cublasLtMatrixLayoutSetAttribute(layout, attribute, value, bytes)), GOOD);
        };
        let (count, stride) = (batches as i32, self.stride as i64);
        set(LayoutAttribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, from_ref(&count).cast(), 4);
        set(LayoutAttribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, from_ref(&stride).cast(), 8);
        layout
    }
}

fn round(ty: Type, x: f64) -> f64 {
    match ty {
        Type::CUDA_R_32F => f64::from(x as f32),
        Type::CUDA_R_16F => f16::from_f64(x).to_f64(),
        Type::CUDA_R_16BF => bf16::from_f64(x).to_f64(),
        Type::CUDA_R_8I | Type::CUDA_R_32I => x.trunc(),
        _ => x,
    }
}

fn upload(device: &Device, ty: Type, values: &[f64]) -> CUdeviceptr {
    let all = |to: fn(f64) -> Vec<u8>| device.with(&values.iter().flat_map(|&x| to(x)).collect::<Vec<u8>>());
    match ty {
        Type::CUDA_R_32F => all(|x| (x as f32).to_le_bytes().into()),
        Type::CUDA_R_16F => all(|x| f16::from_f64(x).to_le_bytes().into()),
        Type::CUDA_R_16BF => all(|x| bf16::from_f64(x).to_le_bytes().into()),
        Type::CUDA_R_8I => all(|x| vec![x as i8 as u8]),
        Type::CUDA_R_32I => all(|x| (x as i32).to_le_bytes().into()),
        _ => all(|x| x.to_le_bytes().into()),
    }
}

fn download(device: &Device, ty: Type, at: CUdeviceptr, count: usize) -> Vec<f64> {
    match ty {
        Type::CUDA_R_32F => device.read::<f32>(at, count).into_iter().map(f64::from).collect(),
        Type::CUDA_R_16F => device.read::<f16>(at, count).into_iter().map(f64::from).collect(),
        Type::CUDA_R_16BF => device.read::<bf16>(at, count).into_iter().map(f64::from).collect(),
        Type::CUDA_R_32I => device.read::<i32>(at, count).into_iter().map(f64::from).collect(),
        _ => device.read::<f64>(at, count),
    }
}

fn operation(case: &Case, bias: CUdeviceptr) -> cublasLtMatmulDesc_t {
    let scale_type = match case.compute {
        Compute::CUBLAS_COMPUTE_64F => Type::CUDA_R_64F,
        Compute::CUBLAS_COMPUTE_32I => Type::CUDA_R_32I,
        _ => Type::CUDA_R_32F,
    };
    let mut operation = null_mut();
    assert_eq!(cu!([lt] cublasLtMatmulDescCreate(&mut operation, case.compute, scale_type)), GOOD);
    let set = |attribute, value: *const c_void, bytes| {
        assert_eq!(cu!([lt] cublasLtMatmulDescSetAttribute(operation, attribute, value, bytes)), GOOD);
    };
    let (a, b) = (i32::from(case.transposed.0), i32::from(case.transposed.1));
    set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, from_ref(&a).cast(), 4);
    set(Attribute::CUBLASLT_MATMUL_DESC_TRANSB, from_ref(&b).cast(), 4);
    set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, from_ref(&case.epilogue).cast(), 4);
    set(Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, from_ref(&bias).cast(), 8);
    operation
}

/// Everything of a case on the device.
struct Ready {
    a: Matrices,
    b: Matrices,
    d: Matrices,
    bias: Vec<f64>,
    pointers: [CUdeviceptr; 3],
    operation: cublasLtMatmulDesc_t,
    layouts: [cublasLtMatrixLayout_t; 3],
    workspace: CUdeviceptr,
}

impl Ready {
    fn new(device: &Device, case: &Case) -> Ready {
        let mut rng = Rng::new(3);
        let (from, to) = case.types;
        let (m, n, k) = case.size;
        let swap = |(rows, columns), transposed| if transposed { (columns, rows) } else { (rows, columns) };
        let mut random = |ty, (rows, columns)| Matrices::random(&mut rng, ty, rows, columns, case.batches);
        let (a, b) =
            (random(from, swap((m, k), case.transposed.0)), random(from, swap((k, n), case.transposed.1)));
        let (d, bias) = (random(to, (m, n)), random(to, (m, 1)).values);
        let pointers =
            [upload(device, from, &a.values), upload(device, from, &b.values), upload(device, to, &d.values)];
        let operation = operation(case, upload(device, to, &bias));
        let layouts =
            [a.layout(from, case.batches), b.layout(from, case.batches), d.layout(to, case.batches)];
        Ready { a, b, d, bias, pointers, operation, layouts, workspace: device.empty(4096) }
    }

    fn plan(&self) -> (Status, Heuristic) {
        let (mut preference, mut found, bytes) = (null_mut(), 0, 4096u64);
        let algo = lt::cublasLtMatmulAlgo_t { data: [0; 8] };
        let mut result = Heuristic { algo, workspaceSize: 0, state: GOOD, wavesCount: 0.0, reserved: [0; 4] };
        assert_eq!(cu!([lt] cublasLtMatmulPreferenceCreate(&mut preference)), GOOD);
        let most = Preferred::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        let value = from_ref(&bytes).cast();
        assert_eq!(cu!([lt] cublasLtMatmulPreferenceSetAttribute(preference, most, value, 8)), GOOD);
        let [a, b, d] = self.layouts;
        let library = library();
        let status = cu!([lt] cublasLtMatmulAlgoGetHeuristic(
            library, self.operation, a, b, d, d, preference, 1, &mut result, &mut found
        ));
        assert_eq!(found, i32::from(status == GOOD));
        assert_eq!(cu!([lt] cublasLtMatmulPreferenceDestroy(preference)), GOOD);
        (status, result)
    }

    fn multiply(&self, device: &Device, case: &Case, plan: &Heuristic) -> Status {
        let [a, b, d] = self.pointers.map(|p| p as *mut c_void);
        let [a_layout, b_layout, d_layout] = self.layouts;
        let scalar = |x: f64| match case.compute {
            Compute::CUBLAS_COMPUTE_64F => x.to_bits(),
            Compute::CUBLAS_COMPUTE_32I => u64::from(x as i32 as u32),
            _ => u64::from((x as f32).to_bits()),
        };
        let (alpha, beta) = (scalar(case.scale.0), scalar(case.scale.1));
        let (alpha, beta) = (from_ref(&alpha).cast(), from_ref(&beta).cast());
        let (library, stream, workspace) = (library(), device.stream.cast(), self.workspace as *mut c_void);
        cu!([lt] cublasLtMatmul(
            library, self.operation, alpha, a, a_layout, b, b_layout, beta, d, d_layout, d, d_layout, &plan.algo,
            workspace, plan.workspaceSize, stream
        ))
    }

    /// The number that is expected, and the sum of the absolute values of what is summed for it.
    fn expected(&self, case: &Case, batch: usize, row: usize, column: usize) -> (f64, f64) {
        let narrow = |x: f64| match case.compute {
            Compute::CUBLAS_COMPUTE_32F_FAST_TF32 => {
                f64::from(f32::from_bits(((x as f32).to_bits() + 0x1000) & !0x1FFF))
            }
            _ => x,
        };
        let pick = |of: &Matrices, transposed, i, j| {
            narrow(if transposed { of.at(batch, j, i) } else { of.at(batch, i, j) })
        };
        let pairs = (0..case.size.2)
            .map(|k| pick(&self.a, case.transposed.0, row, k) * pick(&self.b, case.transposed.1, k, column));
        let (sum, size) = pairs.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
        let mut value = case.scale.0 * sum + case.scale.1 * self.d.at(batch, row, column);
        let epilogue = case.epilogue as u32;
        value += if epilogue & 4 != 0 { self.bias[row] } else { 0.0 };
        if epilogue & 2 != 0 {
            value = value.max(0.0);
        } else if epilogue & 32 != 0 {
            value =
                0.5 * value * (1.0 + (0.797_884_560_802_865_4 * (value + 0.044715 * value.powi(3))).tanh());
        }
        (value, size + value.abs())
    }
}

fn library() -> lt::cublasLtHandle_t {
    let mut library = null_mut();
    assert_eq!(cu!([lt] cublasLtCreate(&mut library)), GOOD);
    library
}

/// How far a result may be from the exact one, as a part of what was summed.
fn tolerance(case: &Case) -> f64 {
    match (case.types.1, case.compute) {
        (Type::CUDA_R_32I, _) => 0.0,
        (Type::CUDA_R_64F, _) => 1e-14,
        (Type::CUDA_R_16F, _) => 1e-3,
        (Type::CUDA_R_16BF, _) => 8e-3,
        (_, Compute::CUBLAS_COMPUTE_32F_FAST_TF32) => 1e-5,
        _ => 1e-6,
    }
}

fn check(device: &Device, case: Case) {
    let ready = Ready::new(device, &case);
    let (status, plan) = ready.plan();
    assert_eq!(status, GOOD, "{case:?}");
    assert_eq!(ready.multiply(device, &case, &plan), GOOD, "{case:?}");
    assert_eq!(synchronize(device), OK);
    compare(device, &case, &ready);
}

fn compare(device: &Device, case: &Case, ready: &Ready) {
    let found = download(device, case.types.1, ready.pointers[2], ready.d.values.len());
    let mut expected = ready.d.values.clone(); // between the matrices, nothing is written
    for (batch, column) in
        (0..case.batches).flat_map(|batch| (0..case.size.1).map(move |column| (batch, column)))
    {
        for row in 0..case.size.0 {
            let at = batch * ready.d.stride + column * ready.d.leading + row;
            let (value, size) = ready.expected(case, batch, row, column);
            assert!(
                (found[at] - value).abs() <= tolerance(case) * size,
                "{case:?} {row} {column}: {} {value}",
                found[at]
            );
            expected[at] = found[at];
        }
    }
    assert_eq!(found, expected, "{case:?}: something else was written");
}

const PLAIN: Case = Case {
    types: (Type::CUDA_R_32F, Type::CUDA_R_32F),
    compute: Compute::CUBLAS_COMPUTE_32F,
    transposed: (false, false),
    size: (12, 5, 16),
    batches: 1,
    epilogue: Epilogue::CUBLASLT_EPILOGUE_DEFAULT,
    scale: (1.0, 0.0),
};

#[test]
fn all_types_and_transposes() {
    let Some(device) = Device::open() else { return };
    let (f32, f64, f16, bf16) = (Type::CUDA_R_32F, Type::CUDA_R_64F, Type::CUDA_R_16F, Type::CUDA_R_16BF);
    let (single, double) = (Compute::CUBLAS_COMPUTE_32F, Compute::CUBLAS_COMPUTE_64F);
    let tf32 = Compute::CUBLAS_COMPUTE_32F_FAST_TF32;
    let kinds = [
        (f32, f32, single),
        (f32, f32, tf32),
        (f64, f64, double),
        (f16, f16, single),
        (f16, f32, single),
        (bf16, bf16, single),
        (bf16, f32, single),
    ];
    for (from, to, compute) in kinds {
        for transposed in [(false, false), (true, false), (false, true), (true, true)] {
            for (size, batches, scale) in [((13, 5, 7), 1, (1.0, 0.0)), ((1, 3, 2), 3, (0.5, 2.0))] {
                check(
                    &device,
                    Case { types: (from, to), compute, transposed, size, batches, scale, ..PLAIN },
                );
            }
        }
    }
    let integers = Case {
        types: (Type::CUDA_R_8I, Type::CUDA_R_32I),
        compute: Compute::CUBLAS_COMPUTE_32I,
        transposed: (true, false),
        batches: 2,
        scale: (1.0, 1.0),
        ..PLAIN
    };
    check(&device, integers);
    let unsupported = |case: Case| {
        assert_eq!(Ready::new(&device, &case).plan().0, Status::CUBLAS_STATUS_NOT_SUPPORTED, "{case:?}");
    };
    unsupported(Case { transposed: (false, false), ..integers });
    unsupported(Case { size: (13, 5, 16), ..integers });
    unsupported(Case { epilogue: Epilogue::CUBLASLT_EPILOGUE_BIAS, ..integers });
    unsupported(Case { types: (f64, f64), ..PLAIN });
}

#[test]
fn epilogues() {
    let Some(device) = Device::open() else { return };
    for epilogue in [
        Epilogue::CUBLASLT_EPILOGUE_RELU,
        Epilogue::CUBLASLT_EPILOGUE_BIAS,
        Epilogue::CUBLASLT_EPILOGUE_RELU_BIAS,
        Epilogue::CUBLASLT_EPILOGUE_GELU,
        Epilogue::CUBLASLT_EPILOGUE_GELU_BIAS,
    ] {
        check(&device, Case { epilogue, scale: (1e-3, 0.0), ..PLAIN });
        check(
            &device,
            Case { epilogue, types: (Type::CUDA_R_16BF, Type::CUDA_R_16BF), scale: (1e-3, 0.0), ..PLAIN },
        );
    }
}

#[test]
fn products_are_captured() {
    let Some(device) = Device::open() else { return };
    let ready = Ready::new(&device, &PLAIN);
    let (status, plan) = ready.plan();
    assert_eq!(status, GOOD);
    let (mut graph, mut exec): (CUgraph, CUgraphExec) = (null_mut(), null_mut());
    assert_eq!(cu!(cuStreamBeginCapture_v2(device.stream, Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)), OK);
    assert_eq!(ready.multiply(&device, &PLAIN, &plan), GOOD);
    assert_eq!(cu!(cuStreamEndCapture(device.stream, &mut graph)), OK);
    let before = download(&device, PLAIN.types.1, ready.pointers[2], ready.d.values.len());
    assert_eq!(before, ready.d.values, "nothing ran");
    assert_eq!(cu!(cuGraphInstantiateWithFlags(&mut exec, graph, 0)), OK);
    assert_eq!(cu!(cuGraphLaunch(exec, device.stream)), OK);
    compare(&device, &PLAIN, &ready);
    let other = Ready::new(&device, &Case { size: (12, 5, 20), ..PLAIN });
    assert_eq!(
        other.multiply(&device, &PLAIN, &plan),
        Status::CUBLAS_STATUS_NOT_SUPPORTED,
        "a plan for another one"
    );
}
