//! Reduction of the learning rate when the loss stops falling.

/// Multiplies the factor when the loss has not fallen for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    /// Evaluations without improvement before a change.
    pub patience: u64,
    /// What the factor is multiplied by.
    pub factor: f64,
    /// Share of the best loss by which a better one has to be smaller.
    pub threshold: f64,
    /// Smallest factor.
    pub floor: f64,
}

/// What a [`Plateau`] remembers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauState {
    /// Smallest loss so far.
    pub best: f64,
    /// Evaluations since.
    pub waited: f64,
    /// The factor now.
    pub factor: f64,
}

impl Default for PlateauState {
    fn default() -> Self {
        PlateauState { best: f64::INFINITY, waited: 0.0, factor: 1.0 }
    }
}

impl PlateauState {
    /// The state as numbers, for a checkpoint.
    pub fn to_array(self) -> [f64; 3] {
        [self.best, self.waited, self.factor]
    }

    /// The state of [`PlateauState::to_array`].
    pub fn from_array([best, waited, factor]: [f64; 3]) -> PlateauState {
        PlateauState { best, waited, factor }
    }
}

impl Plateau {
    /// The state after an evaluation that gave this loss.
    pub fn after(&self, state: PlateauState, loss: f64) -> PlateauState {
        let bound = state.best - self.threshold * state.best.abs();
        if state.best.is_infinite() || loss < bound {
            return PlateauState { best: loss, waited: 0.0, ..state };
        }
        let waited = state.waited + 1.0;
        if waited > self.patience as f64 {
            let factor = (state.factor * self.factor).max(self.floor);
            PlateauState { waited: 0.0, factor, ..state }
        } else {
            PlateauState { waited, ..state }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_falls_after_patience_is_over() {
        let plateau = Plateau { patience: 1, factor: 0.1, threshold: 0.01, floor: 0.05 };
        let mut state = PlateauState::default();
        let mut factors = Vec::new();
        for loss in [1.0, 0.995, 0.999, 0.5, 0.5, 0.5, 0.5, 0.5] {
            state = plateau.after(state, loss);
            factors.push(state.factor);
            state = PlateauState::from_array(state.to_array());
        }
        assert_eq!(factors, [1.0, 1.0, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05]);
        assert_eq!(state.best, 0.5);
    }
}
