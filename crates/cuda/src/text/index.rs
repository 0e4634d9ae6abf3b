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
        if view.strides.iter().zip(&self.dims).all(|(s, d)| *s == 0 || *d == 1) {
            return view.offset.to_string();
        }
        if view.is_contiguous() {
            return super::flat(view, &self.flat);
        }
        let coordinates = self.coordinates(writer).to_vec();
        let mut text = view.offset.to_string();
        for ((c, &s), &d) in coordinates.iter().zip(&view.strides).zip(&self.dims) {
            if s != 0 && d != 1 {
                text.push_str(&format!(" + ({}){c} * ({s})", self.kind));
            }
        }
        text
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
