//! Tile programs as statements: elementwise operations for some neighbouring elements at a time.

use super::types::{computed, memory, number, supported};
use super::{Index, Kernel, No, Writer};
use ironlearn_ir::plan::{Home, Instr, Load, Plan, Program, TileOp, Value, View};
use ironlearn_ir::prim::Compare;
use ironlearn_ir::prim::cast::convert;
use ironlearn_ir::{DType, dispatch};

/// How many neighbours along the last axis are computed together.
pub type Lanes = usize;

/// Where a program is evaluated.
pub struct Place {
    /// The first element.
    pub index: Index,
    /// Neighbours.
    pub lanes: Lanes,
    /// What is read before anything is computed, where that can be.
    pub early: Option<Early>,
}

/// Reads from memory that are written apart from the program: into the members of a struct `in`, as they lie there.
#[derive(Default)]
pub struct Early {
    /// The members.
    pub members: String,
    /// The reads.
    pub reads: String,
}

/// A value while its program is written.
#[derive(Clone)]
enum Named {
    /// The same for all lanes.
    One(String),
    /// One for each lane.
    Each(String),
}

impl Named {
    fn lane(&self, lane: &str) -> String {
        match self {
            Named::One(name) => name.clone(),
            Named::Each(name) => format!("{name}[{lane}]"),
        }
    }
}

/// A program that is being written.
pub struct Tile {
    values: Vec<(Named, DType)>,
    lanes: Lanes,
}

impl Tile {
    /// Writes the statements that compute all values. Loads that `given` names are there already: a load of the
    /// program, and the array that holds its elements.
    pub fn new(
        writer: &mut Writer<'_>,
        program: &Program,
        place: &mut Place,
        given: Option<(usize, &str)>,
    ) -> Result<Tile, No> {
        let mut tile = Tile { values: Vec::new(), lanes: place.lanes };
        for (i, load) in program.loads.iter().enumerate() {
            let dtype = program.dtype(i as Value, &writer.plan.buffers);
            supported(dtype)?;
            let named = match given {
                Some((g, name)) if g == i => Named::Each(name.to_string()),
                _ => tile.load(writer, i, load, dtype, place),
            };
            tile.values.push((named, dtype));
        }
        for instr in &program.instrs {
            tile.instr(writer, instr)?;
        }
        Ok(tile)
    }

    fn load(&self, writer: &mut Writer<'_>, i: usize, load: &Load, dtype: DType, place: &mut Place) -> Named {
        let kind = computed(dtype);
        let name = format!("v{i}");
        let view = load.view();
        let last = match (view.strides.last(), view.dims.last()) {
            (Some(&s), Some(&d)) if d > 1 => s,
            _ => 0,
        };
        match load {
            Load::Memory(view) => {
                if let Some(literal) = constant(writer, view) {
                    return Named::One(literal);
                }
                let at = place.index.of(writer, view);
                // What is the same in all rows is near.
                let varies = view.strides.iter().rev().skip(1).any(|s| *s != 0);
                let early = place.early.as_mut().filter(|_| varies);
                if place.lanes == 1 || last == 0 {
                    let value = writer.read(view.buffer, &at);
                    match early {
                        Some(early) => {
                            early.members.push_str(&format!("{kind} {name};\n"));
                            early.reads.push_str(&format!("in.{name} = {value};\n"));
                            writer.line(format!("const {kind} {name} = in.{name};"));
                        }
                        None => writer.line(format!("const {kind} {name} = {value};")),
                    }
                    return Named::One(name);
                }
                writer.line(format!("{kind} {name}[{}];", place.lanes));
                let argument = writer.buffer(view.buffer, false);
                if is_packed(writer.plan, view, place.lanes) {
                    let address = writer.address(argument, &at, place.lanes);
                    if let Some(early) = early {
                        let pack = format!("{}, {}", memory(dtype), place.lanes);
                        early.members.push_str(&format!("IlPack<{pack}> {name};\n"));
                        early.reads.push_str(&format!("il_fetch_all<{pack}>({address}, in.{name});\n"));
                        writer.line(format!("il_unpack<{pack}>(in.{name}, {name});"));
                        return Named::Each(name);
                    }
                    let is_still = place.early.is_some() && !writer.arguments[argument].writes;
                    let load = if is_still { "il_load_all_still" } else { "il_load_all" };
                    writer.line(format!("{load}<{}, {}>({address}, {name});", memory(dtype), place.lanes));
                } else {
                    let value = writer.read(view.buffer, format!("{at} + l * ({last})"));
                    writer.line(format!("for (int l = 0; l < {}; l++) {name}[l] = {value};", place.lanes));
                }
            }
            Load::Index(_, view) => {
                let at = place.index.of(writer, view);
                let cast = |at: String| format!("IlCast<{}>::of((il_i64)({at}))", memory(dtype));
                if place.lanes == 1 || last == 0 {
                    writer.line(format!("const {kind} {name} = {};", cast(at)));
                    return Named::One(name);
                }
                writer.line(format!("{kind} {name}[{}];", place.lanes));
                let value = cast(format!("{at} + l * ({last})"));
                writer.line(format!("for (int l = 0; l < {}; l++) {name}[l] = {value};", place.lanes));
            }
            Load::Random(bits, scalars, view) => {
                let at = place.index.of(writer, view);
                let row = bits.shape.iter().skip(1).product::<usize>();
                let [seed, step, first] = scalars.map(|id| writer.read(id, 0));
                let draw = |at: String| {
                    format!(
                        "il_random({}ULL, {row}ULL, {seed}, {step}, {first}, (il_u64)({at}))",
                        bits.stream
                    )
                };
                if place.lanes == 1 || last == 0 {
                    writer.line(format!("const {kind} {name} = {};", draw(at)));
                    return Named::One(name);
                }
                writer.line(format!("{kind} {name}[{}];", place.lanes));
                let value = draw(format!("{at} + l * ({last})"));
                writer.line(format!("for (int l = 0; l < {}; l++) {name}[l] = {value};", place.lanes));
            }
        }
        Named::Each(name)
    }

    fn instr(&mut self, writer: &mut Writer<'_>, instr: &Instr) -> Result<(), No> {
        supported(instr.out)?;
        supported(instr.dtype)?;
        let name = format!("v{}", self.values.len());
        let args: Vec<Named> = instr.args.iter().map(|&a| self.values[a as usize].0.clone()).collect();
        let one = args.iter().all(|a| matches!(a, Named::One(_)));
        let lane: Vec<String> = args.iter().map(|a| a.lane("l")).collect();
        let value = expression(instr, &lane, |a| self.values[instr.args[a] as usize].1);
        let kind = computed(instr.out);
        let named = if one {
            writer.line(format!("const {kind} {name} = {value};"));
            Named::One(name)
        } else {
            writer.line(format!("{kind} {name}[{}];", self.lanes));
            writer.line("#pragma unroll");
            writer.line(format!("for (int l = 0; l < {}; l++) {name}[l] = {value};", self.lanes));
            Named::Each(name)
        };
        self.values.push((named, instr.out));
        Ok(())
    }

    /// The value of a lane, as C++.
    pub fn lane(&self, value: Value, lane: &str) -> String {
        self.values[value as usize].0.lane(lane)
    }

    /// Writes values where they go.
    pub fn store(&self, writer: &mut Writer<'_>, stores: &[(Value, View)], place: &mut Place) {
        for (i, (value, view)) in stores.iter().enumerate() {
            let (named, dtype) = &self.values[*value as usize];
            let at = place.index.of(writer, view);
            if place.lanes == 1 {
                let value = named.lane("0");
                writer.write(view.buffer, at, &value);
                continue;
            }
            let (kind, lanes) = (computed(*dtype), place.lanes);
            let name = match named {
                Named::Each(name) => name.clone(),
                Named::One(one) => {
                    let name = format!("s{i}");
                    writer.line(format!("{kind} {name}[{lanes}];"));
                    writer.line(format!("for (int l = 0; l < {lanes}; l++) {name}[l] = {one};"));
                    name
                }
            };
            writer.line(format!("for (int l = 0; l < {lanes}; l++) {{"));
            writer.look(view.buffer, &format!("{name}[l]"));
            writer.line("}");
            let argument = writer.buffer(view.buffer, true);
            if is_packed(writer.plan, view, lanes) {
                let address = writer.address(argument, &at, lanes);
                writer.line(format!("il_store_all<{}, {lanes}>({address}, {name});", memory(*dtype)));
            } else {
                let last = view.strides.last().copied().unwrap_or(1);
                let element = writer.element(argument, format!("{at} + l * ({last})"));
                writer.line(format!(
                    "for (int l = 0; l < {lanes}; l++) {element} = Il<{}>::store({name}[l]);",
                    memory(*dtype)
                ));
            }
        }
    }
}

/// True where neighbours along the last axis lie side by side at a place that a wide access can be made from.
fn is_packed(plan: &Plan, view: &View, lanes: Lanes) -> bool {
    let (rank, bytes) = (view.dims.len(), lanes * plan.buffer(view.buffer).dtype.size());
    if rank == 0 || view.strides[rank - 1] != 1 {
        return false;
    }
    let aligned = |n: isize| n % lanes as isize == 0;
    bytes.is_power_of_two()
        && bytes >= 2
        && plan.alignment(view) >= bytes.min(16)
        && aligned(view.dims[rank - 1] as isize)
        && view.strides[..rank - 1].iter().zip(&view.dims).all(|(s, d)| *d == 1 || aligned(*s))
}

/// A constant of one element as a number in the text.
fn constant(writer: &Writer<'_>, view: &View) -> Option<String> {
    let buffer = writer.plan.buffer(view.buffer);
    let Home::Constant(array) = &buffer.home else { return None };
    if buffer.len != 1 {
        return None;
    }
    if buffer.dtype == DType::I64 {
        let value = array.as_slice::<i64>()?.first()?;
        return (*value != i64::MIN).then(|| format!("({value}LL)"));
    }
    let wide: f64 = dispatch!(buffer.dtype, T => convert::<T, f64>(*array.as_slice::<T>()?.first()?));
    Some(format!("({})", number(buffer.dtype, wide)))
}

/// The expression of an instruction, given its operands.
fn expression(instr: &Instr, args: &[String], dtype: impl Fn(usize) -> DType) -> String {
    let rounded = |text: String| match instr.out {
        DType::F16 | DType::Bf16 => format!("Il<{}>::round({text})", memory(instr.out)),
        _ => text,
    };
    match &instr.op {
        TileOp::Map(map) => {
            let mut text = map.0.cuda().to_string();
            for (i, arg) in args.iter().enumerate() {
                text = text.replace(&format!("{{{i}}}"), arg);
            }
            rounded(format!("({})({text})", computed(instr.out)))
        }
        TileOp::Compare(Compare::Less) => format!("{} < {}", args[0], args[1]),
        TileOp::Compare(Compare::Equal) => format!("{} == {}", args[0], args[1]),
        TileOp::Select => format!("{} ? {} : {}", args[0], args[1], args[2]),
        TileOp::Cast if dtype(0) == instr.out => args[0].clone(),
        TileOp::Cast => format!("IlCast<{}>::of({})", memory(instr.out), args[0]),
    }
}

/// Elements from which on a thread computes several.
const MANY: usize = 1 << 16;

/// The kernel of a tile program whose values are stored.
pub fn fused(mut writer: Writer<'_>, program: &Program, stores: &[(Value, View)]) -> Result<Vec<Kernel>, No> {
    let n: usize = program.dims.iter().product();
    let lanes = if n >= MANY { lanes(&writer, program, stores) } else { 1 };
    for (_, view) in stores {
        writer.buffer(view.buffer, true);
    }
    let wide = n >= 1 << 30 || writer.wide(n);
    let flat = if lanes == 1 { "i".to_string() } else { format!("i * {lanes}") };
    let mut place =
        Place { index: Index::new(&program.dims, format!("({flat})"), wide, "c"), lanes, early: None };
    let tile = Tile::new(&mut writer, program, &mut place, None)?;
    tile.store(&mut writer, stores, &mut place);
    Ok(vec![writer.each(n / lanes).small()])
}

/// How many elements a thread can compute: more than one where memory is read in order.
pub fn lanes(writer: &Writer<'_>, program: &Program, stores: &[(Value, View)]) -> Lanes {
    let Some(&last) = program.dims.last() else { return 1 };
    let widest = stores.iter().map(|(_, v)| writer.dtype(v.buffer).size()).max().unwrap_or(4);
    // More than 4 of two bytes gain nothing: measured.
    let most = (16 / widest).clamp(1, 4);
    let in_order = |view: &View| {
        let rank = view.strides.len();
        let stride = view.strides[rank - 1];
        stride == 1 || stride == 0
    };
    let all = program.loads.iter().map(Load::view).chain(stores.iter().map(|s| &s.1)).all(in_order);
    match last % most == 0 && all {
        true => most,
        false => 1,
    }
}
