//! Matrix products by cuBLASLt: each with its descriptors and its algorithm, chosen once by the library's own rules for
//! the shape, never by timing, so that the bits are the same from run to run.

use crate::driver::Context;
use crate::error::{CudaError, Library};
use cudarc::cublaslt::sys;
use ironlearn_ir::DType;
use ironlearn_ir::plan::{self, DotStep, Plan, View};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

/// The most bytes of scratch memory that an algorithm may ask for.
const WORKSPACE: usize = 32 << 20;
/// Products of fewer multiplications go to kernels of our own.
const FEWEST: usize = 1 << 18;

/// True where cuBLASLt can be loaded.
pub fn is_present() -> bool {
    // SAFETY: opens a library by its well-known name; never panics.
    unsafe { sys::is_culib_present() }
}

/// The version of cuBLASLt, such as 130002.
pub fn version() -> Option<usize> {
    // SAFETY: the library is there.
    is_present().then(|| unsafe { sys::cublasLtGetVersion() })
}

/// The library, ready to be used on a device.
pub struct Blas {
    context: Arc<Context>,
    handle: sys::cublasLtHandle_t,
}

// SAFETY: the handle may be used from any thread (cuBLASLt is thread safe).
unsafe impl Send for Blas {}
// SAFETY: as above.
unsafe impl Sync for Blas {}

impl Blas {
    /// Opens the library.
    pub fn open(context: &Arc<Context>) -> Result<Blas, CudaError> {
        if !is_present() {
            return Err(CudaError::Missing { library: Library::Blas });
        }
        let mut handle = ptr::null_mut();
        // SAFETY: writes a handle.
        run(context, "cublasLtCreate", || unsafe { sys::cublasLtCreate(&mut handle) })?;
        Ok(Blas { context: context.clone(), handle })
    }
}

impl Drop for Blas {
    fn drop(&mut self) {
        // SAFETY: made by `open`. After a failure of the context nothing is asked any more.
        let _ = run(&self.context, "cublasLtDestroy", || unsafe { sys::cublasLtDestroy(self.handle) });
    }
}

/// Calls the library with the context bound.
fn run(
    context: &Context,
    call: &'static str,
    f: impl FnOnce() -> sys::cublasStatus_t,
) -> Result<(), CudaError> {
    let mut status = sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS;
    context.call(call, || {
        status = f();
        cudarc::driver::sys::CUresult::CUDA_SUCCESS
    })?;
    if status == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS {
        return Ok(());
    }
    // SAFETY: gives a string that lives as long as the library.
    let text = unsafe { sys::cublasLtGetStatusName(status) };
    let problem = match text.is_null() {
        true => format!("status {}", status as u32),
        // SAFETY: as above.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    };
    Err(CudaError::Call { call, problem })
}

/// A matrix as cuBLASLt sees it: by columns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Matrix {
    rows: usize,
    columns: usize,
    /// Elements from one column to the next.
    leading: usize,
    /// The operand is its transpose.
    transposed: bool,
    /// Elements from one matrix of the batch to the next.
    next: usize,
    /// Bytes that divide the address of its first element.
    alignment: usize,
}

/// A product that cuBLASLt can compute: what of it does not depend on the library.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    dtype: DType,
    out: DType,
    tf32: bool,
    batch: usize,
    /// The right operand, the left one and the result: by rows is by columns of the transpose.
    matrices: [Matrix; 3],
}

impl Problem {
    /// The product as cuBLASLt's, where types, strides and size suit it.
    pub fn of(plan: &Plan, dot: &DotStep, tf32: bool) -> Option<Problem> {
        let [dtype, out] = [&dot.x, &dot.out].map(|view| plan.buffer(view.buffer).dtype);
        let floats = matches!((dtype, out), (DType::F32, DType::F32) | (DType::F64, DType::F64))
            || (matches!(dtype, DType::F16 | DType::Bf16) && out == DType::F32);
        let rank = dot.out.dims.len();
        let (m, n, k) = (dot.out.dims[rank - 2], dot.out.dims[rank - 1], dot.x.dims[rank - 1]);
        let batch: usize = dot.out.dims[..rank - 2].iter().product();
        let most = i32::MAX as usize;
        if !floats || batch * m * n * k < FEWEST || [m, n, k, batch].iter().any(|&d| d > most) {
            return None;
        }
        let matrices = [matrix(plan, &dot.y)?, matrix(plan, &dot.x)?, matrix(plan, &dot.out)?];
        let result = matrices[2];
        (!result.transposed).then_some(Problem { dtype, out, tf32, batch, matrices })
    }

    /// Promises no more of where matrices begin than is so for any row of what they are a part of: the library then has one
    /// algorithm for all parts.
    pub fn forget_start(&mut self) {
        let sizes = [self.dtype, self.dtype, self.out].map(DType::size);
        for (matrix, size) in self.matrices.iter_mut().zip(sizes) {
            matrix.alignment = matrix.alignment.min(1 << (matrix.leading * size).trailing_zeros());
        }
    }
}

/// A view as cuBLASLt's matrix: by rows, `[rows, columns]` is by columns `[columns, rows]`.
fn matrix(plan: &Plan, view: &View) -> Option<Matrix> {
    let rank = view.dims.len();
    let (rows, columns, lies) = (view.dims[rank - 2], view.dims[rank - 1], view.matrix()?);
    let (rows, columns) = if lies.by_columns { (rows, columns) } else { (columns, rows) };
    let plan::Matrix { leading, next, by_columns } = lies;
    let alignment = plan.alignment(view);
    Some(Matrix { rows, columns, leading, transposed: by_columns, next, alignment })
}

/// A product with its descriptors and algorithm.
pub struct Product {
    blas: Arc<Blas>,
    operation: sys::cublasLtMatmulDesc_t,
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    algorithm: sys::cublasLtMatmulAlgo_t,
    /// Bytes of scratch memory.
    workspace: usize,
    wide: bool,
}

// SAFETY: names of objects of the library, which are only read once made.
unsafe impl Send for Product {}

impl Product {
    /// Makes a product ready; `None` where the library has no algorithm for it.
    pub fn new(blas: &Arc<Blas>, problem: &Problem) -> Result<Option<Product>, CudaError> {
        use sys::cublasLtMatmulDescAttributes_t::{CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB};
        let context = &blas.context;
        let wide = problem.dtype == DType::F64;
        let (compute, scale) = match (wide, problem.tf32 && problem.dtype == DType::F32) {
            (true, _) => (sys::cublasComputeType_t::CUBLAS_COMPUTE_64F, sys::cudaDataType::CUDA_R_64F),
            (_, true) => {
                (sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32, sys::cudaDataType::CUDA_R_32F)
            }
            _ => (sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, sys::cudaDataType::CUDA_R_32F),
        };
        let mut made = Product {
            blas: blas.clone(),
            operation: ptr::null_mut(),
            layouts: [ptr::null_mut(); 3],
            // SAFETY: plain numbers, for which zeros are fine; written below before it is used.
            algorithm: unsafe { MaybeUninit::zeroed().assume_init() },
            workspace: 0,
            wide,
        };
        // SAFETY: writes a handle.
        run(context, "cublasLtMatmulDescCreate", || unsafe {
            sys::cublasLtMatmulDescCreate(&mut made.operation, compute, scale)
        })?;
        for (which, matrix) in [
            (CUBLASLT_MATMUL_DESC_TRANSA, problem.matrices[0]),
            (CUBLASLT_MATMUL_DESC_TRANSB, problem.matrices[1]),
        ] {
            let operation = i32::from(matrix.transposed);
            // SAFETY: reads four bytes of a number that lives.
            run(context, "cublasLtMatmulDescSetAttribute", || unsafe {
                sys::cublasLtMatmulDescSetAttribute(
                    made.operation,
                    which,
                    ptr::from_ref(&operation).cast(),
                    4,
                )
            })?;
        }
        for i in 0..3 {
            let dtype = if i == 2 { problem.out } else { problem.dtype };
            made.layouts[i] = layout(context, problem.matrices[i], dtype, problem.batch)?;
        }
        Ok(if made.choose(problem)? { Some(made) } else { None })
    }

    /// Asks for the best algorithm by the library's own rules; false where there is none.
    fn choose(&mut self, problem: &Problem) -> Result<bool, CudaError> {
        let context = &self.blas.context;
        let preference = Preference::new(context, problem)?;
        // SAFETY: plain numbers, for which zeros are fine.
        let mut found: sys::cublasLtMatmulHeuristicResult_t = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut count = 0;
        let [a, b, d] = self.layouts;
        // SAFETY: all handles live; writes one result and the number of results.
        let asked = run(context, "cublasLtMatmulAlgoGetHeuristic", || unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                self.blas.handle,
                self.operation,
                a,
                b,
                d,
                d,
                preference.0,
                1,
                &mut found,
                &mut count,
            )
        });
        match asked {
            Err(CudaError::Call { problem, .. }) if problem.contains("NOT_SUPPORTED") => return Ok(false),
            other => other?,
        }
        (self.algorithm, self.workspace) = (found.algo, found.workspaceSize);
        Ok(count > 0 && found.state == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS)
    }

    /// Bytes of scratch memory.
    pub fn workspace(&self) -> usize {
        self.workspace
    }

    /// Queues the product of what is at these addresses.
    pub fn queue(&self, x: u64, y: u64, out: u64, scratch: u64) -> Result<(), CudaError> {
        let context = &self.blas.context;
        let (one, zero) = (1.0f32, 0.0f32);
        let (one_wide, zero_wide) = (1.0f64, 0.0f64);
        let (alpha, beta) = match self.wide {
            true => (ptr::from_ref(&one_wide).cast(), ptr::from_ref(&zero_wide).cast()),
            false => (ptr::from_ref(&one).cast(), ptr::from_ref(&zero).cast()),
        };
        let [a, b, d] = self.layouts;
        // SAFETY: descriptors that fit views of a verified plan, whose addresses these are; the scratch memory has
        // as many bytes as the algorithm asked for.
        run(context, "cublasLtMatmul", || unsafe {
            sys::cublasLtMatmul(
                self.blas.handle,
                self.operation,
                alpha,
                y as *const _,
                a,
                x as *const _,
                b,
                beta,
                out as *const _,
                d,
                out as *mut _,
                d,
                &self.algorithm,
                scratch as *mut _,
                self.workspace,
                context.stream().cast(),
            )
        })
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        for layout in self.layouts.into_iter().filter(|l| !l.is_null()) {
            // SAFETY: made by `new`.
            let _ = run(&self.blas.context, "cublasLtMatrixLayoutDestroy", || unsafe {
                sys::cublasLtMatrixLayoutDestroy(layout)
            });
        }
        if !self.operation.is_null() {
            // SAFETY: made by `new`.
            let _ = run(&self.blas.context, "cublasLtMatmulDescDestroy", || unsafe {
                sys::cublasLtMatmulDescDestroy(self.operation)
            });
        }
    }
}

struct Preference(sys::cublasLtMatmulPreference_t);

impl Preference {
    fn new(context: &Context, problem: &Problem) -> Result<Preference, CudaError> {
        use sys::cublasLtMatmulPreferenceAttributes_t::*;
        let mut preference = ptr::null_mut();
        // SAFETY: writes a handle.
        run(context, "cublasLtMatmulPreferenceCreate", || unsafe {
            sys::cublasLtMatmulPreferenceCreate(&mut preference)
        })?;
        let made = Preference(preference);
        let which = sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        // SAFETY: reads eight bytes of a number that lives.
        run(context, "cublasLtMatmulPreferenceSetAttribute", || unsafe {
            sys::cublasLtMatmulPreferenceSetAttribute(preference, which, ptr::from_ref(&WORKSPACE).cast(), 8)
        })?;
        let alignments = [
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 0),
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 1),
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 2),
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 2),
        ];
        for (which, i) in alignments {
            let bytes = problem.matrices[i].alignment as u32;
            // SAFETY: reads four bytes of a number that lives.
            run(context, "cublasLtMatmulPreferenceSetAttribute", || unsafe {
                sys::cublasLtMatmulPreferenceSetAttribute(preference, which, ptr::from_ref(&bytes).cast(), 4)
            })?;
        }
        Ok(made)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: made by `new`; touches memory of the host only.
        let _ = unsafe { sys::cublasLtMatmulPreferenceDestroy(self.0) };
    }
}

fn layout(
    context: &Context,
    matrix: Matrix,
    dtype: DType,
    batch: usize,
) -> Result<sys::cublasLtMatrixLayout_t, CudaError> {
    use sys::cublasLtMatrixLayoutAttribute_t::*;
    let kind = match dtype {
        DType::F64 => sys::cudaDataType::CUDA_R_64F,
        DType::F16 => sys::cudaDataType::CUDA_R_16F,
        DType::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        _ => sys::cudaDataType::CUDA_R_32F,
    };
    let mut layout = ptr::null_mut();
    // SAFETY: writes a handle.
    run(context, "cublasLtMatrixLayoutCreate", || unsafe {
        sys::cublasLtMatrixLayoutCreate(
            &mut layout,
            kind,
            matrix.rows as u64,
            matrix.columns as u64,
            matrix.leading as i64,
        )
    })?;
    if batch > 1 {
        let (count, next) = (batch as i32, matrix.next as i64);
        // SAFETY: reads four and eight bytes of numbers that live.
        run(context, "cublasLtMatrixLayoutSetAttribute", || unsafe {
            sys::cublasLtMatrixLayoutSetAttribute(
                layout,
                CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                ptr::from_ref(&count).cast(),
                4,
            )
        })?;
        // SAFETY: as above.
        run(context, "cublasLtMatrixLayoutSetAttribute", || unsafe {
            sys::cublasLtMatrixLayoutSetAttribute(
                layout,
                CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                ptr::from_ref(&next).cast(),
                8,
            )
        })?;
    }
    Ok(layout)
}
