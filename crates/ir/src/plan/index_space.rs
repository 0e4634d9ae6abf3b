//! The index space of a tile program, made as simple as its operands allow.

use super::View;

/// Merges neighbouring axes along which every view runs on without a jump, and drops axes of length 1. The
/// order of the indices stays.
pub(super) fn collapse(dims: &mut Vec<usize>, views: &mut [&mut View]) {
    for axis in (0..dims.len()).rev().filter(|&a| dims[a] == 1).collect::<Vec<_>>() {
        dims.remove(axis);
        views.iter_mut().for_each(|v| drop_axis(v, axis));
    }
    for axis in (1..dims.len()).rev() {
        if views.iter().all(|v| v.strides[axis - 1] == v.strides[axis] * dims[axis] as isize) {
            dims[axis - 1] *= dims[axis];
            dims.remove(axis);
            for v in views.iter_mut() {
                v.strides[axis - 1] = v.strides[axis];
                drop_axis(v, axis);
                v.dims[axis - 1] = dims[axis - 1];
            }
        }
    }
}

fn drop_axis(view: &mut View, axis: usize) {
    view.strides.remove(axis);
    view.dims.remove(axis);
}

#[cfg(test)]
mod tests {
    use super::super::BufferId;
    use super::*;

    #[test]
    fn axes_merge_where_all_operands_agree() {
        let mut dims = vec![2, 1, 3, 4];
        let mut full = View::whole(BufferId(0), &dims);
        let mut row = View { strides: vec![0, 0, 0, 1], ..full.clone() };
        collapse(&mut dims, &mut [&mut full, &mut row]);
        assert_eq!((dims, full.strides, row.strides), (vec![6, 4], vec![4, 1], vec![0, 1]));
    }
}
