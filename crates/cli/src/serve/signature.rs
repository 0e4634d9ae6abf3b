//! [`Signature`]: the tensors that a model takes and gives, by name.

use super::message::{Request, Tensor};
use super::refusal::Refusal;
use super::tensor::{Answers, Datatype, Values};
use crate::predictions::Classes;
use ironlearn::table::{Cells, FieldKind};
use ironlearn::task::{Preparation, Reading};
use serde_json::{Value, json};

/// The name of the input of a model that takes rows of numbers.
const INPUT: &str = "input";
/// The name of what `ironlearn predict` calls so.
const PREDICTION: &str = "prediction";

/// A tensor by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub name: String,
    pub datatype: Datatype,
    /// Axes of a row.
    pub row: Vec<usize>,
}

impl Spec {
    pub fn new(name: impl Into<String>, datatype: Datatype, row: &[usize]) -> Spec {
        Spec { name: name.into(), datatype, row: row.to_vec() }
    }

    /// As metadata describe it; -1 is the number of rows.
    fn description(&self) -> Value {
        json!({ "name": self.name, "datatype": self.datatype.name(), "shape": self.shape() })
    }

    fn shape(&self) -> Vec<i64> {
        let axes = self.row.iter().map(|&axis| i64::try_from(axis).unwrap_or(i64::MAX));
        [-1].into_iter().chain(axes).collect()
    }

    /// The rows of a tensor of this shape, or of one whose rows have one axis, or none for one number.
    fn rows(&self, shape: &[usize]) -> Result<usize, Refusal> {
        let columns: usize = self.row.iter().product();
        match shape {
            [0, ..] => Err(Refusal::bad(format!("input {:?} has no rows", self.name))),
            [rows, row @ ..] if *row == self.row || *row == [columns] => Ok(*rows),
            [rows] if columns == 1 => Ok(*rows),
            _ => Err(Refusal::bad(format!(
                "input {:?} has the shape {shape:?}, and the model takes {:?}",
                self.name,
                self.shape()
            ))),
        }
    }
}

/// The tensors of a model.
pub struct Signature {
    pub inputs: Vec<Spec>,
    pub outputs: Vec<Spec>,
    preparation: Preparation,
    classes: Option<Classes>,
}

/// An output as it is sent.
pub struct Output<'a> {
    pub spec: &'a Spec,
    pub values: Answers<'a>,
    pub binary: bool,
}

impl Signature {
    /// The tensors of a model of Iron Learn, which takes these numbers.
    pub fn of(preparation: &Preparation, numbers: Datatype) -> Signature {
        let inputs = match &preparation.encoding {
            Some(encoding) => {
                let spec = |field: &ironlearn::table::Field| {
                    let datatype = match field.kind {
                        FieldKind::Number { .. } => Datatype::Fp64,
                        FieldKind::Words { .. } => Datatype::Bytes,
                    };
                    Spec::new(&field.name, datatype, &[1])
                };
                encoding.fields.iter().map(spec).collect()
            }
            None if preparation.shape.is_empty() => {
                vec![Spec::new(INPUT, numbers, &[preparation.columns])]
            }
            None => vec![Spec::new(INPUT, numbers, &preparation.shape)],
        };
        let classes = Classes::of(preparation);
        let outputs = match &classes {
            None => vec![Spec::new(PREDICTION, Datatype::Fp64, &[preparation.outputs])],
            Some(_) => {
                let name = match preparation.reading {
                    Reading::Margin => "margin",
                    _ => "probabilities",
                };
                vec![
                    Spec::new(PREDICTION, Datatype::Bytes, &[]),
                    Spec::new(name, Datatype::Fp64, &[preparation.outputs]),
                ]
            }
        };
        Signature { inputs, outputs, preparation: preparation.clone(), classes }
    }

    /// The tensors of a model that takes rows as they are.
    pub fn plain(input: Spec, output: Spec) -> Signature {
        let [columns, outputs] = [&input, &output].map(|spec| spec.row.iter().product());
        let preparation = Preparation::new(columns, outputs, Reading::Value);
        Signature { inputs: vec![input], outputs: vec![output], preparation, classes: None }
    }

    /// Numbers of the answer to a row.
    pub fn width(&self) -> usize {
        self.preparation.outputs
    }

    /// As metadata describe it: names, datatypes and shapes.
    pub fn description(&self) -> (Value, Value) {
        let all = |specs: &[Spec]| specs.iter().map(Spec::description).collect();
        (all(&self.inputs), all(&self.outputs))
    }

    /// The raw rows of a request, and how many they are.
    pub fn rows(&self, request: &mut Request) -> Result<(usize, Vec<f64>), Refusal> {
        if let Some(odd) = request.tensors.iter().find(|t| self.inputs.iter().all(|s| s.name != t.name)) {
            return Err(Refusal::bad(format!(
                "the model has no input {:?}: it has {}",
                odd.name,
                names(&self.inputs)
            )));
        }
        let mut rows = None;
        let mut tensors = Vec::new();
        for spec in &self.inputs {
            let place = request.tensors.iter().position(|tensor| tensor.name == spec.name);
            let tensor = place.map(|place| request.tensors.swap_remove(place)).ok_or_else(|| {
                let all = names(&self.inputs);
                Refusal::bad(format!("the input {:?} is missing: the model takes {all}", spec.name))
            })?;
            let count = spec.rows(&tensor.shape)?;
            if *rows.get_or_insert(count) != count {
                let problem = format!("input {:?} has {count} rows, others have another number", spec.name);
                return Err(Refusal::bad(problem));
            }
            tensors.push(tensor);
        }
        let raw = match &self.preparation.encoding {
            Some(encoding) => {
                let cells: Vec<Cells> = tensors.into_iter().map(cells).collect();
                encoding.encode_cells(&cells)?
            }
            None => match tensors.pop().map(|tensor| tensor.values) {
                Some(Values::Numbers(numbers)) => numbers,
                _ => return Err(Refusal::bad("the model takes numbers, the request has texts")),
            },
        };
        self.preparation.check_raw(&raw)?;
        Ok((rows.unwrap_or(0), raw))
    }

    /// The outputs that a request wants, each as it wants it.
    ///
    /// # Errors
    /// Where the model has no such output.
    pub fn wanted(&self, request: &Request) -> Result<Vec<(usize, bool)>, Refusal> {
        let Some(wanted) = &request.wanted else {
            return Ok((0..self.outputs.len()).map(|place| (place, request.binary)).collect());
        };
        let place = |name: &str| {
            self.outputs.iter().position(|spec| spec.name == name).ok_or_else(|| {
                Refusal::bad(format!("the model has no output {name:?}: it has {}", names(&self.outputs)))
            })
        };
        let mut places: Vec<(usize, bool)> = Vec::new();
        for output in wanted {
            let place = place(&output.name)?;
            if places.iter().any(|(other, _)| *other == place) {
                return Err(Refusal::bad(format!("the output {:?} is asked for twice", output.name)));
            }
            places.push((place, output.binary));
        }
        Ok(places)
    }

    /// The outputs at these places, from answers `[rows, width]`.
    pub fn outputs<'a>(&'a self, answers: &'a [f64], wanted: &[(usize, bool)]) -> Vec<Output<'a>> {
        let output = |&(place, binary): &(usize, bool)| {
            let spec = &self.outputs[place];
            let values = match &self.classes {
                Some(classes) if spec.datatype == Datatype::Bytes => {
                    Answers::Words(answers.chunks_exact(self.width()).map(|row| classes.judge(row)).collect())
                }
                _ => Answers::Numbers(answers),
            };
            Output { spec, values, binary }
        };
        wanted.iter().map(output).collect()
    }
}

fn names(specs: &[Spec]) -> String {
    let names: Vec<String> = specs.iter().map(|spec| format!("{:?}", spec.name)).collect();
    names.join(", ")
}

fn cells(tensor: Tensor) -> Cells {
    match tensor.values {
        Values::Numbers(numbers) => Cells::Numbers(numbers),
        Values::Words(words) => Cells::Texts(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn::table::{Encoding, Field, Labels, Unseen};

    fn request(inputs: &str) -> Request {
        Request::parse(format!("{{\"inputs\": [{inputs}]}}").as_bytes(), None).unwrap()
    }

    fn input(name: &str, shape: &str, datatype: &str, data: &str) -> String {
        format!(r#"{{"name": "{name}", "shape": {shape}, "datatype": "{datatype}", "data": {data}}}"#)
    }

    #[test]
    fn rows_have_one_axis_or_those_of_the_network() {
        let images = Preparation { shape: vec![1, 2, 2], ..Preparation::new(4, 1, Reading::Value) };
        let signature = Signature::of(&images, Datatype::Fp32);
        assert_eq!(signature.description().0[0]["shape"], json!([-1, 1, 2, 2]));
        for shape in ["[1, 4]", "[1, 1, 2, 2]"] {
            let mut request = request(&input("input", shape, "UINT8", "[1, 2, 3, 4]"));
            assert_eq!(signature.rows(&mut request).unwrap(), (1, vec![1.0, 2.0, 3.0, 4.0]));
        }
        for (inputs, part) in [
            (
                input("input", "[2, 2]", "FP32", "[1, 2, 3, 4]"),
                "the shape [2, 2], and the model takes [-1, 1, 2, 2]",
            ),
            (input("input", "[4]", "FP32", "[1, 2, 3, 4]"), "the shape [4]"),
            (input("input", "[]", "FP32", "[1]"), "the shape []"),
            (input("input", "[0, 4]", "FP32", "[]"), "has no rows"),
            (input("x", "[1, 4]", "FP32", "[1, 2, 3, 4]"), "no input \"x\": it has \"input\""),
            (input("input", "[1, 4]", "BYTES", r#"["a", "b", "c", "d"]"#), "takes numbers"),
            (input("input", "[1, 4]", "FP64", "[1, 2, 3, null]"), "row 0, number 3: NaN is not finite"),
            (String::new(), "the input \"input\" is missing"),
        ] {
            let refusal = signature.rows(&mut request(&inputs)).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(part), "{}", refusal.message);
        }
    }

    #[test]
    fn a_table_has_an_input_for_each_column_and_answers_with_names() {
        let words = FieldKind::Words { words: vec!["blue".into(), "red".into()], fill: None };
        let fields = vec![
            Field { name: "colour".into(), kind: words },
            Field { name: "size".into(), kind: FieldKind::Number { fill: Some(9.0) } },
        ];
        let table = Preparation {
            encoding: Some(Encoding { fields, unseen: Unseen::Refuse }),
            labels: Labels::new(vec!["elm".into(), "oak".into()]),
            ..Preparation::new(2, 2, Reading::ClassLogits)
        };
        let signature = Signature::of(&table, Datatype::Fp32);
        let size = input("size", "[2, 1]", "FP32", "[1.5, null]");
        let colour = input("colour", "[2]", "BYTES", r#"["red", "blue"]"#);
        let mut both = request(&format!("{size}, {colour}"));
        assert_eq!(signature.rows(&mut both).unwrap(), (2, vec![1.0, 1.5, 0.0, 9.0]));
        let answers = [0.25, 0.75, 0.5, 0.5];
        let all = signature.wanted(&both).unwrap();
        let outputs = signature.outputs(&answers, &all);
        assert_eq!(outputs[0].values, Answers::Words(vec!["oak", "elm"]));
        assert_eq!(
            (outputs[1].spec.name.as_str(), &outputs[1].values),
            ("probabilities", &Answers::Numbers(&answers))
        );
        let one = input("size", "[1]", "FP32", "[1]");
        for (inputs, part) in [
            (size.clone(), "the input \"colour\" is missing: the model takes \"colour\", \"size\""),
            (format!("{one}, {colour}"), "input \"size\" has 1 rows"),
            (
                format!("{size}, {}", input("colour", "[2]", "BYTES", r#"["red", "pink"]"#)),
                "column \"colour\", row 1: expected one of blue, red, found `pink`",
            ),
        ] {
            let refusal = signature.rows(&mut request(&inputs)).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(part), "{}", refusal.message);
        }
    }
}
