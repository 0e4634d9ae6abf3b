//! A device that is lost, too small, or not there.

use crate::apart::{apart, can_plant, is_child};
use crate::common;
use crate::graphs::{Small, ones, run};
use ironlearn_cuda::{Cuda, CudaError, Library, Options, probe};
use ironlearn_ir::{Failure, Mode, Tape};
use ironlearn_testkit::standin;

fn device_failure(result: Result<(), Failure>) -> String {
    match result {
        Err(Failure::Device(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_device_says_its_first_cause_from_then_on() {
    for launch in ["1", "2", "7"] {
        let variables = [("IRONLEARN_SIM_LOSE", launch)];
        let told = apart("device::a_lost_device_says_its_first_cause_from_then_on", &variables, lose);
        let Some(told) = told else { return };
        assert!(told.lines().all(|line| line.is_empty() || line.contains("is lost as planned")), "{told}");
    }
}

fn lose() {
    let cuda = common::device().expect("the stand-in");
    let (mut small, ones) = (Small::sum(), ones());
    let mut program = small.compile(cuda).expect("a program");
    let mut idle = Small::sum();
    let mut other = idle.compile(cuda).expect("a program");
    let mut steps = (0..20).map(|_| run(&mut program, &[&ones], &mut small.store));
    let first = device_failure(steps.find(Result::is_err).expect("one of the first launches fails"));
    let cause = match cuda.memory() {
        Err(CudaError::Lost { first }) => first,
        other => panic!("{other:?}"),
    };
    let code = cause.split_whitespace().find(|word| word.starts_with("CUDA_ERROR_"));
    assert!(code.is_some_and(|code| first.contains(code)), "{first}\n{cause}");
    for _ in 0..2 {
        for problem in [
            device_failure(run(&mut program, &[&ones], &mut small.store)),
            device_failure(run(&mut other, &[&ones], &mut idle.store)),
            device_failure(Small::sum().compile(cuda).map(drop)),
        ] {
            assert!(problem.contains(&cause), "{problem} is not because of {cause}");
        }
    }
    // What never was on the device is still there; what was is lost, and says so.
    assert_eq!(idle.store.fetch_all(), Ok(()));
    assert_eq!(idle.bits(), Small::sum().bits());
    if small.store.version(small.slot) > Small::sum().store.version(small.slot) {
        let problem = small.store.fetch_all().expect_err("its value was on the device");
        assert!(problem.contains(&cause), "{problem}");
    }
}

#[test]
fn memory_that_is_not_there_is_refused_in_numbers() {
    let variables = [("IRONLEARN_SIM_MEMORY", "4000000")];
    apart("device::memory_that_is_not_there_is_refused_in_numbers", &variables, fill);
}

fn fill() {
    let cuda = common::device().expect("the stand-in");
    assert_eq!(cuda.memory().map(|m| m.1), Ok(4_000_000));
    let tape = Tape::new(Mode::Infer);
    let x = tape.input::<f32>([1000, 1000]);
    tape.output("y", x.sin().transpose().dot(x).node());
    let graph = tape.finish().expect("a sound graph").0;
    for _ in 0..3 {
        let Err(failure) = cuda.compile(&graph, Options::default()) else { panic!("it fits") };
        let said = failure.to_string();
        let Failure::Memory { bytes, purpose } = failure else { panic!("{said}") };
        let numbers: Vec<usize> =
            purpose.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        let [free, total] = numbers[..] else { panic!("{purpose}") };
        assert!(bytes > free && free <= total && total == 4_000_000, "{said}");
        assert!(said.contains(&bytes.to_string()) && said.contains("smaller batches"), "{said}");
        // What was given before the refusal is given back, and what fits still runs.
        let mut small = Small::sum();
        let mut program = small.compile(cuda).expect("a program");
        run(&mut program, &[&ones()], &mut small.store).expect("a step");
    }
    let (free, total) = cuda.memory().expect("numbers");
    assert_eq!(free, total, "everything was given back");
}

/// The folder of the libraries that a process finds; the first ones of the stand-in.
fn with_libraries(test: &str, names: &[&str], body: fn()) {
    // In the other process, which has other libraries, this must not look for any.
    if is_child() {
        apart(test, &[], body);
        return;
    }
    let Some(standin) = can_plant(test).then(standin::folder).flatten() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        #[cfg(unix)]
        std::os::unix::fs::symlink(standin.join(name), folder.path().join(name)).expect("a link");
        #[cfg(not(unix))]
        panic!("{} on another system than Linux", standin.join(name).display());
    }
    apart(test, &[("LD_LIBRARY_PATH", folder.path().to_str().expect("a name in Unicode"))], body);
}

/// Opens a device without the library, and sees how to get it.
fn missing(library: Library, name: &str, remedy: &str) {
    for _ in 0..2 {
        let error = Cuda::open(0).err().expect("a library is missing");
        assert_eq!(error, CudaError::Missing { library });
        assert!(
            error.to_string().contains(name) && error.hint().contains(remedy),
            "{error}; {}",
            error.hint()
        );
    }
}

#[test]
fn without_a_driver_there_is_an_error_with_its_remedy() {
    with_libraries("device::without_a_driver_there_is_an_error_with_its_remedy", &[], || {
        missing(Library::Driver, "libcuda", "install the NVIDIA driver");
        let report = probe();
        assert_eq!(report.devices.err(), Some(CudaError::Missing { library: Library::Driver }));
    });
}

#[test]
fn without_the_compiler_there_is_an_error_with_its_remedy() {
    with_libraries("device::without_the_compiler_there_is_an_error_with_its_remedy", &["libcuda.so"], || {
        missing(Library::Compiler, "libnvrtc", "nvidia-cuda-nvrtc");
        assert!(probe().devices.is_ok_and(|devices| devices.len() == 1));
    });
}

#[test]
fn without_the_library_of_products_there_is_an_error_with_its_remedy() {
    let test = "device::without_the_library_of_products_there_is_an_error_with_its_remedy";
    with_libraries(test, &["libcuda.so", "libnvrtc.so"], || {
        missing(Library::Blas, "libcublasLt", "nvidia-cublas");
        assert!(probe().compiler.is_ok() && probe().blas.is_err());
    });
}

#[test]
fn a_device_that_is_not_there_is_named() {
    if common::device().is_none() {
        return;
    }
    let error = Cuda::open(99).err().expect("no machine has so many");
    assert!(matches!(error, CudaError::NoDevice { asked: 99, found: 1.. }), "{error:?}");
    assert!(error.to_string().contains("no GPU number 99"), "{error}");
}
