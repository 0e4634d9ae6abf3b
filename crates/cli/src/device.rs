//! [`Device`]: what `--device` asks for; and [`Machine`]: what it comes to.

use crate::console::Console;
use crate::gpu::{Gpu, NoGpu};
use crate::machine;
use ironlearn::job::Job;
use ironlearn::{Error, Options};
use ironlearn_cpu::Cpu;
use std::fmt;
use std::str::FromStr;

/// What `--device` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The best there is.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU: the first, or that of the rank.
    Gpu,
    /// The NVIDIA GPU of this number, from 0.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Device, String> {
        let numbered = |text: &str| text.strip_prefix("cuda:")?.parse().ok().map(Device::Cuda);
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Gpu),
            _ => numbered(text)
                .ok_or_else(|| "no device: write auto, cpu, cuda, or cuda:1 for the second GPU".into()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Gpu => f.write_str("cuda"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// Where the arithmetic is done.
#[derive(Clone)]
pub struct Machine {
    /// `None`: the processor.
    pub gpu: Option<Gpu>,
    /// Of the processor; `None`: one per core.
    pub threads: Option<usize>,
    /// Every operation of the steps is measured.
    pub profile: bool,
}

impl Machine {
    /// The machine that the options name. Where the choice is left to the program, a GPU that is there and does not
    /// work is told of.
    ///
    /// # Errors
    /// [`Error::Usage`] where the device that was asked for is not there.
    pub fn find(device: Device, threads: Option<usize>, console: &Console) -> Result<Machine, Error> {
        let gpu = chosen(device, Gpu::open, |warning| console.warn(&warning)).map_err(NoGpu::error)?;
        Ok(Machine { gpu, threads, profile: false })
    }

    /// The machine for a job: what learns without a network does so on the processor.
    ///
    /// # Errors
    /// [`Error::Usage`] where a GPU was asked for by name.
    pub fn for_job(self, job: &Job, asked: Device) -> Result<Machine, Error> {
        match asked {
            _ if job.model.is_network() => Ok(self),
            Device::Gpu | Device::Cuda(_) => {
                let problem =
                    format!("--device {asked}: model.kind = {:?} is learned on the CPU", job.model.word());
                Err(Error::usage(problem, "leave out --device, or set it to cpu"))
            }
            Device::Auto | Device::Cpu => Ok(Machine { gpu: None, ..self }),
        }
    }

    /// What people are told.
    pub fn name(&self) -> String {
        let threads = self.threads.unwrap_or_else(machine::cores);
        let of_cpu = || format!("CPU ({}, {threads} threads)", Options::default().arithmetic());
        self.gpu.as_ref().map_or_else(of_cpu, Gpu::name)
    }

    /// How steps are built for it.
    pub fn options(&self) -> Result<Options, Error> {
        let options = Options::default().profile(self.profile);
        match (&self.gpu, self.threads) {
            (Some(gpu), _) => Ok(gpu.applied(options)),
            (None, None) => Ok(options),
            (None, Some(threads)) => Cpu::new(threads)
                .map(|cpu| options.cpu(cpu))
                .map_err(|e| Error::usage(e, "unset IRONLEARN_ISA for the best there is")),
        }
    }
}

/// The GPU to use; `None`: the processor.
fn chosen<G>(
    device: Device,
    open: impl Fn(usize) -> Result<G, NoGpu>,
    warn: impl Fn(String),
) -> Result<Option<G>, NoGpu> {
    match device {
        Device::Cpu => Ok(None),
        Device::Gpu => open(0).map(Some),
        Device::Cuda(index) => open(index).map(Some),
        Device::Auto => match open(0) {
            Ok(gpu) => Ok(Some(gpu)),
            Err(none) => {
                if none.is_odd {
                    warn(none.warning());
                }
                Ok(None)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for (text, device) in [
            ("auto", Device::Auto),
            ("cpu", Device::Cpu),
            ("cuda", Device::Gpu),
            ("cuda:0", Device::Cuda(0)),
            ("cuda:12", Device::Cuda(12)),
        ] {
            assert_eq!((text.parse(), device.to_string().as_str()), (Ok(device), text));
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda0", "CPU"] {
            assert!(text.parse::<Device>().unwrap_err().contains("cuda:1"), "{text}");
        }
    }

    #[test]
    fn what_learns_without_a_network_does_so_on_the_processor() {
        let machine = || Machine { gpu: None, threads: Some(2), profile: false };
        let job = |kind: &str| Job::parse(&format!("model.kind = '{kind}'"), &[] as &[&str]).unwrap();
        let error = machine().for_job(&job("k-means"), Device::Cuda(1)).err().unwrap();
        assert!(error.to_string().contains("--device cuda:1: model.kind = \"k-means\""), "{error}");
        assert_eq!(error.exit_code(), 2);
        for (kind, device) in
            [("k-means", Device::Auto), ("k-means", Device::Cpu), ("network", Device::Cuda(0))]
        {
            let found = machine().for_job(&job(kind), device).unwrap();
            assert_eq!((found.gpu.is_none(), found.threads), (true, Some(2)), "{kind}");
        }
    }

    #[test]
    fn a_gpu_is_taken_where_it_works_and_missed_where_it_was_asked_for_or_should_work() {
        let warnings = RefCell::new(Vec::new());
        let warn = |warning| warnings.borrow_mut().push(warning);
        let there = |index| Ok(index);
        let none = |is_odd| move |_| Err(NoGpu::of("no compiler", "install it", is_odd));
        let got = |device| chosen(device, there, warn).ok();
        assert_eq!(got(Device::Auto), Some(Some(0)));
        assert_eq!(got(Device::Cpu), Some(None));
        assert_eq!(got(Device::Gpu), Some(Some(0)));
        assert_eq!(got(Device::Cuda(3)), Some(Some(3)));
        assert!(matches!(chosen::<usize>(Device::Auto, none(false), warn), Ok(None)));
        assert!(warnings.borrow().is_empty());
        assert!(matches!(chosen::<usize>(Device::Auto, none(true), warn), Ok(None)));
        assert_eq!(*warnings.borrow(), ["the GPU is not used: no compiler; install it"]);
        let error = chosen::<usize>(Device::Cuda(0), none(false), warn).err().unwrap().error();
        assert_eq!(
            (error.exit_code(), error.to_string().as_str()),
            (2, "--device cuda: no compiler\n  help: install it")
        );
    }
}
