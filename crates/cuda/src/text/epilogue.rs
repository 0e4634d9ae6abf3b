//! What is done to the elements of a matrix, as a type that the templates of `kernels/` take: it computes elements,
//! stores them, and adds some up along the columns.

use super::tile::{Early, Place, Tile};
use super::{Index, Kernel, No, Of, Writer, types};
use crate::driver::Shape;
use ironlearn_ir::plan::{Load, Program, RowSums, Rows, SUM_ROWS, Value, View};

/// Neighbours in a row that the templates hand over together.
const LANES: usize = 8;

/// What is done to the elements of a matrix.
pub struct End<'a> {
    /// The program over them.
    pub program: &'a Program,
    /// The load of the program that stands for a product.
    pub product: Option<usize>,
    /// Values and where they go.
    pub stores: &'a [(Value, View)],
    /// What is added up.
    pub sums: Option<&'a RowSums>,
}

/// How many matrices, and their rows and columns.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Matrices.
    pub batch: usize,
    /// Rows.
    pub m: usize,
    /// Columns.
    pub n: usize,
}

/// The kernel of a program over rows and columns, some of whose values are added up along the columns.
pub fn rows(mut w: Writer<'_>, rows: &Rows) -> Result<Vec<Kernel>, No> {
    let Rows { program, stores, sums } = rows;
    let &[m, n] = &program.dims[..] else { return Err("rows of other than a matrix".into()) };
    let name = w.name.clone();
    let end = End { program, product: None, stores, sums: Some(sums) };
    let (types, epi) = end.text(&mut w, &name, Extent { batch: 1, m, n })?;
    w.line(format!("il_row_tiles<{name}_P>({epi});"));
    // As il_row_tile has it.
    let columns = match n / LANES {
        32.. => 256,
        16.. => 128,
        8.. => 64,
        _ => 32,
    };
    let blocks = m.div_ceil(SUM_ROWS) * n.div_ceil(columns);
    let mut kernel = w.finish(Shape { grid: [blocks.max(1) as u32, 1, 1], block: 256, shared: 0 });
    let problem = format!("struct {name}_P {{ static constexpr unsigned M = {m}, N = {n}; }};\n");
    kernel.types = [problem, types].concat();
    Ok(vec![kernel])
}

impl End<'_> {
    /// The type, and how it is made.
    pub fn text(&self, w: &mut Writer<'_>, name: &str, of: Extent) -> Result<(String, String), No> {
        let before = std::mem::take(&mut w.body);
        let sums = self.sums.map(|s| w.buffer(s.out.buffer, true));
        let many = match of.n.is_multiple_of(LANES) {
            true => Some(self.lanes(w, of, LANES)?),
            false => None,
        };
        let (one, _) = self.lanes(w, of, 1)?;
        w.body = before;
        let members: Vec<&super::Argument> =
            w.arguments.iter().filter(|a| matches!(a.of, Of::Buffer(_))).collect();
        let declared: String = members
            .iter()
            .map(|a| {
                let constant = if a.writes { "" } else { "const " };
                format!("{constant}{}* {};\n", types::memory(a.dtype), a.name)
            })
            .collect();
        let given: Vec<&str> = members.iter().map(|a| &a.name[..]).chain(["state", "il_kernel"]).collect();
        let count = self.sums.map_or(0, |s| s.values.len());
        let mut text = format!(
            "struct {name}_E {{\n{declared}IlState* state;\nunsigned il_kernel;\n\
             static constexpr unsigned SUMS = {count};\n"
        );
        if let (Some(at), Some(RowSums { out, .. })) = (sums, self.sums) {
            let place =
                w.address(at, format!("((il_i64)sum * {} + row) * {} + col", out.dims[1], out.dims[2]), 1);
            text.push_str(&format!(
                "IL_DEVICE float* sum(unsigned sum, unsigned row, unsigned col) const {{ return {place}; }}\n"
            ));
        }
        let place = "il_u64 batch, unsigned row, unsigned col";
        let (many, early) = many.unwrap_or_default();
        text.push_str(&format!(
            "struct Loaded {{\n{}}};\n\
             IL_DEVICE void load({place}, Loaded& in) const {{\n{}{}}}\n\
             template <class S> IL_DEVICE void operator()({place}, float (&p)[8], const Loaded& in, S& sums) const {{\n\
             {many}}}\n\
             IL_DEVICE void one({place}, float element) const {{\nfloat p[1] = {{element}};\n{one}}}\n}};\n",
            early.members,
            self.index(of),
            early.reads,
        ));
        // Looked at within the type, not by the kernel.
        w.checks = false;
        Ok((text, format!("{name}_E{{{}}}", given.join(", "))))
    }

    /// True where indices need 64 bits. Whether they do is known only when all arguments are; those of products are large
    /// seldom.
    fn is_wide(&self, of: Extent) -> bool {
        let far = |l: &Load| l.view().reach().is_some_and(|r| r.1 >= 1 << 30);
        of.batch * of.m * of.n >= 1 << 30 || self.program.loads.iter().any(far)
    }

    fn kind(&self, of: Extent) -> &'static str {
        if self.is_wide(of) { "il_i64" } else { "int" }
    }

    /// The number of the first element.
    fn index(&self, of: Extent) -> String {
        let kind = self.kind(of);
        format!("const {kind} i = ({kind})((batch * {}ULL + row) * {}ULL + col);\n", of.m, of.n)
    }

    /// The program for so many elements from `row`, `col` on, which `p` holds; and what it reads before.
    fn lanes(&self, w: &mut Writer<'_>, of: Extent, lanes: usize) -> Result<(String, Early), No> {
        w.body.clear();
        w.checks = false;
        let End { program, product, stores, sums } = self;
        for (_, view) in *stores {
            w.buffer(view.buffer, true);
        }
        let kind = self.kind(of);
        let whole = of.batch == 1 && program.dims[..] == [of.m, of.n];
        w.body.push_str(&self.index(of));
        // A single element has no axes.
        let aligned = lanes == 1 || program.dims.last().is_some_and(|last| last % lanes == 0);
        if !aligned {
            w.line("for (int l = 0; l < 8; l++) one(batch, row, col + l, p[l]);");
            return Ok((std::mem::take(&mut w.body), Early::default()));
        }
        let mut index = Index::new(&program.dims, "i", self.is_wide(of), "c");
        if whole {
            index = index.known(vec![format!("({kind})row"), format!("({kind})col")]);
        }
        // Places that are written into the program are not known before it.
        let before = whole || program.loads.iter().all(|l| l.view().is_contiguous());
        let early = (lanes > 1 && before).then(Early::default);
        let mut place = Place { index, lanes, early };
        let start = w.body.len();
        let tile = Tile::new(w, program, &mut place, product.map(|at| (at, "p")))?;
        tile.store(w, stores, &mut place);
        if lanes > 1 {
            for (i, value) in sums.iter().flat_map(|s| &s.values).enumerate() {
                w.line(format!(
                    "for (int l = 0; l < {lanes}; l++) sums[{i}][l] += {};",
                    tile.lane(*value, "l")
                ));
            }
        }
        if w.checks {
            w.body.insert_str(start, "bool bad = false;\n");
            w.line("if (bad) atomicOr(&state->stop, 1u);");
        }
        Ok((std::mem::take(&mut w.body), place.early.unwrap_or_default()))
    }
}
