//! Which of the tokens so far a network sees.

/// Where the tokens begin that a network of this context sees next, when it has written `count` of a text.
///
/// A network that goes on from a cache keeps the beginning for as long as it can: when its context is full it forgets
/// all but the last half or so, and what it sees is the same with and without the cache. Others see the last tokens.
pub fn beginning(count: usize, context: usize, in_blocks: bool) -> usize {
    let over = count.saturating_sub(context);
    let block = if in_blocks { (context / 2).max(1) } else { 1 };
    over.div_ceil(block) * block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_moves_by_one_or_by_half_of_the_context() {
        let moved = |in_blocks| (0..10).map(|n| beginning(n, 4, in_blocks)).collect::<Vec<_>>();
        assert_eq!(moved(false), [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
        assert_eq!(moved(true), [0, 0, 0, 0, 0, 2, 2, 4, 4, 6]);
        assert_eq!(beginning(3, 1, true), 2);
    }
}
