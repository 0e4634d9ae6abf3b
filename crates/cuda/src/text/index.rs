//! Where the elements of a view are, as C++.

use super::Writer;
use ironlearn_ir::plan::View;

/// A place in an index space: its coordinates are written when something needs them.
pub struct Index {
    dims: Vec<usize>,
    /// The place as one number.
    flat: String,
    /// The place along each axis, once written.
    coordinates: Option<Vec<String>>,
    kind: &'static str,
    prefix: &'static str,
}

impl Index {
    /// The place with this number, in row-major order.
    pub fn new(dims: &[usize], flat: impl Into<String>, wide: bool, prefix: &'static str) -> Index {
        let kind = if wide { "il_i64" } else { "int" };
        Index { dims: dims.to_vec(), flat: flat.into(), coordinates: None, kind, prefix }
    }

    /// The same place, whose coordinates have these names.
    pub fn known(self, coordinates: Vec<String>) -> Index {
        Index { coordinates: Some(coordinates), ..self }
    }

    /// The element of a view over the space.
    pub fn of(&mut self, writer: &mut Writer<'_>, view: &View) -> String {
        if let Some(stride) = writer.row_stride(view.buffer) {
            return self.on_chip(writer, view, stride);
        }
        if view.strides.iter().zip(&self.dims).all(|(s, d)| *s == 0 || *d == 1) {
            return view.offset.to_string();
        }
        if view.is_contiguous() {
            return super::flat(view, &self.flat);
        }
        let coordinates = self.coordinates(writer).to_vec();
        view.offset.to_string() + &self.along(&coordinates, &view.strides, 0)
    }

    /// The element in the rows of a block on the chip, which are `stride` elements apart.
    fn on_chip(&mut self, writer: &mut Writer<'_>, view: &View, stride: usize) -> String {
        let coordinates = self.coordinates(writer).to_vec();
        let row = format!("{} + ({} - il_row0) * {stride}", view.offset, coordinates[0]);
        row + &self.along(&coordinates, &view.strides, 1)
    }

    /// How far a place is along the axes from `first` on.
    fn along(&self, coordinates: &[String], strides: &[isize], first: usize) -> String {
        let axes = coordinates.iter().zip(strides).zip(&self.dims).skip(first);
        axes.filter(|((_, s), d)| **s != 0 && **d != 1)
            .map(|((c, s), _)| format!(" + ({}){c} * ({s})", self.kind))
            .collect()
    }

    /// The place along each axis.
    pub fn coordinates(&mut self, writer: &mut Writer<'_>) -> &[String] {
        let Index { dims, flat, kind, prefix, .. } = self;
        self.coordinates.get_or_insert_with(|| {
            let mut names = vec![String::new(); dims.len()];
            let mut rest = flat.clone();
            for axis in (0..dims.len()).rev() {
                let name = format!("{prefix}{axis}");
                match axis {
                    0 => writer.line(format!("const {kind} {name} = {rest};")),
                    _ => {
                        writer.line(format!(
                            "const {kind} {name} = ({rest}) % {}, {name}r = ({rest}) / {};",
                            dims[axis], dims[axis]
                        ));
                        rest = format!("{name}r");
                    }
                }
                names[axis] = name;
            }
            names
        })
    }
}
