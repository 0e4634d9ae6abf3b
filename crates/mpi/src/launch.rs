//! Who has started this process, told by its environment.

/// True where a launcher of MPI has started this process as one of its ranks: `mpirun`, `mpiexec`, or `srun` with several
/// tasks and `--mpi`. MPI is not asked.
///
/// Processes that a rank starts inherit its environment: they are launched too, unless they are started without it.
pub fn is_launched() -> bool {
    find(&|name| std::env::var(name).ok()).is_some()
}

/// How many ranks the launcher says it has started, where it says so.
#[cfg(feature = "mpi")]
pub(crate) fn announced() -> Option<usize> {
    find(&|name| std::env::var(name).ok())?.ranks
}

#[derive(PartialEq, Debug)]
struct Launch {
    ranks: Option<usize>,
}

fn find(variable: &dyn Fn(&str) -> Option<String>) -> Option<Launch> {
    let number = |name| variable(name).and_then(|text| text.trim().parse::<usize>().ok());
    // Open MPI and MVAPICH. What follows may be left over from the daemon of theirs that Slurm has started.
    if let Some(ranks) = number("OMPI_COMM_WORLD_SIZE").or_else(|| number("MV2_COMM_WORLD_SIZE")) {
        return Some(Launch { ranks: Some(ranks) });
    }
    let size = number("PMI_SIZE");
    let is_rank = size.is_some() || number("PMI_RANK").is_some() || number("PMIX_RANK").is_some();
    if !is_rank {
        return None;
    }
    // Slurm gives its variables to every step, those of one task included, which nobody means for MPI. Where they say
    // something else than PMI they are those of the step that has started Hydra, the launcher of MPICH and Intel MPI.
    match number("SLURM_STEP_NUM_TASKS") {
        Some(1) if size.is_none_or(|size| size == 1) => None,
        tasks => Some(Launch { ranks: size.or(tasks) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Option<usize>> {
        let get = |name: &str| Some(variables.iter().find(|(n, _)| *n == name)?.1.to_owned());
        find(&get).map(|launch| launch.ranks)
    }

    #[test]
    fn launchers_are_known_by_what_they_set() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("OMPI_COMM_WORLD_SIZE", "4"), ("PMIX_RANK", "0")]), Some(Some(4)));
        assert_eq!(of(&[("OMPI_COMM_WORLD_SIZE", "1")]), Some(Some(1)));
        assert_eq!(of(&[("PMI_RANK", "2"), ("PMI_SIZE", "3")]), Some(Some(3)));
        assert_eq!(of(&[("PMIX_RANK", "2")]), Some(None));
        assert_eq!(of(&[("PMI_SIZE", "")]), None);
    }

    #[test]
    fn a_step_of_slurm_is_launched_where_it_has_several_tasks_and_pmi() {
        let step = |tasks| ("SLURM_STEP_NUM_TASKS", tasks);
        assert_eq!(of(&[step("4")]), None, "no PMI: nobody tells MPI of the others");
        assert_eq!(of(&[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")]), None, "the script of a job");
        assert_eq!(of(&[step("4"), ("PMIX_RANK", "0")]), Some(Some(4)));
        assert_eq!(of(&[step("4"), ("PMI_RANK", "0"), ("PMI_SIZE", "4")]), Some(Some(4)));
        assert_eq!(of(&[step("1"), ("PMIX_RANK", "0")]), None);
        assert_eq!(of(&[step("1"), ("PMI_RANK", "0"), ("PMI_SIZE", "1")]), None);
        // Launchers that were started by Slurm, once a host.
        assert_eq!(of(&[step("1"), ("PMI_RANK", "0"), ("PMI_SIZE", "8")]), Some(Some(8)));
        assert_eq!(of(&[step("1"), ("OMPI_COMM_WORLD_SIZE", "8")]), Some(Some(8)));
    }
}
