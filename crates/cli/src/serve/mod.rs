//! Models over HTTP, by the Open Inference Protocol: one thread owns the model and answers batches of rows, others read
//! requests and write answers.

mod batcher;
mod body;
mod message;
mod metrics;
mod model;
mod queue;
mod refusal;
mod reply;
mod routes;
mod server;
mod signature;
mod stop;
mod stream;
mod tensor;

use crate::args::ServeOptions;
use crate::console::Console;
use crate::device::Machine;
use crate::machine;
use batcher::Batching;
use ironlearn::Error;
use metrics::Metrics;
use model::{Model, name_of};
use queue::Queue;
use server::{Limits, Server};
use signature::Signature;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// The most threads that read and write.
const MOST_THREADS: usize = 4;

/// Serves a model until a signal asks for the end.
///
/// # Errors
/// Those of loading a model; [`Error::Usage`] where the address cannot be listened to.
pub fn run(options: &ServeOptions, machine: &Machine, console: &Console) -> Result<u8, Error> {
    // Before the model is loaded, which may take a while: an address in use is told of at once.
    let listener = listen(options.address)?;
    let metrics = Arc::new(Metrics::new());
    let queue = Arc::new(Queue::new(options.max_queue.get()));
    let batching = Batching { most: options.max_batch.get(), wait: options.max_wait };
    let (signature, thread) = start(&options.model, machine, batching, &queue, &metrics)?;
    let limits = Limits {
        body: options.max_body,
        connections: options.max_connections.get().min(u32::MAX as usize >> 4),
        timeout: options.timeout,
        grace: options.grace,
    };
    let name = options.name.clone().unwrap_or_else(|| name_of(&options.model));
    let server = Arc::new(Server::new(name, signature, queue.clone(), metrics, limits));
    let failed = |error: std::io::Error| {
        Error::usage(format!("the server cannot start: {error}"), "give it more threads and open files")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(machine::cores().clamp(1, MOST_THREADS))
        .enable_all()
        .build()
        .map_err(failed)?;
    let served = runtime.block_on(async {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stop = stop::asked()?;
        console.say(&format!("serving {} at http://{address}", server.name));
        Ok(server.run(listener, stop).await)
    });
    let whole = served.map_err(failed)?;
    queue.close();
    runtime.shutdown_background();
    if whole {
        // A panic has ended the program.
        let _ = thread.join();
    } else {
        console.warn("requests went on for longer than --grace: they were broken off");
    }
    Ok(0)
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|error| {
        Error::usage(
            format!("cannot listen on {address}: {error}"),
            "name another with --address, such as 127.0.0.1:0 for a free port",
        )
    })
}

/// Loads a model in a thread of its own, which then answers.
fn start(
    path: &std::path::Path,
    machine: &Machine,
    batching: Batching,
    queue: &Arc<Queue>,
    metrics: &Arc<Metrics>,
) -> Result<(Signature, JoinHandle<()>), Error> {
    let (path, machine): (PathBuf, Machine) = (path.to_owned(), machine.clone());
    let (queue, metrics) = (queue.clone(), metrics.clone());
    let (loaded, signature) = mpsc::channel();
    let work = move || {
        // A model stays in the thread that has loaded it.
        let model = machine.options().and_then(|options| Model::load(&path, &options, batching.most));
        match model {
            Err(error) => {
                let _ = loaded.send(Err(error));
            }
            Ok((mut model, signature)) => {
                let _ = loaded.send(Ok(signature));
                batcher::run(&mut model, &queue, &metrics, batching);
            }
        }
    };
    let failed =
        |error: String| Error::usage(format!("no thread for the model: {error}"), "allow more threads");
    let thread = std::thread::Builder::new().name("model".into()).spawn(work);
    let thread = thread.map_err(|error| failed(error.to_string()))?;
    let signature = signature.recv().map_err(|error| failed(error.to_string()))??;
    Ok((signature, thread))
}
