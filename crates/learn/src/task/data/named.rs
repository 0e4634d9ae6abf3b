//! Jobs that learn a table: which columns are inputs, and what the target is.

use super::raw::{Form, Raw, given, no_targets, targets};
use super::reading::Reading;
use crate::error::Error;
use crate::job::{self, Inputs, Task};
use crate::table::{Contents, Draft, Labels, Missing, Table, Unseen};
use ironlearn_ir::Array;

/// The rows and targets of a job on a table.
///
/// # Errors
/// [`Error::File`] where columns are missing or hold what cannot be learned; [`Error::Usage`] where the job
/// contradicts itself.
pub(in crate::task) fn load(data: &job::Data, reading: Reading) -> Result<Raw, Error> {
    let job::Data::Table {
        path, target, test, columns, ignore, words, missing, unseen, inputs, task, ..
    } = data
    else {
        return Err(Error::usage("the data are no table", "set data.kind = \"table\""));
    };
    check_inputs(*inputs)?;
    let mut table = Table::read(path)?;
    let mut test = given(test).map(Table::read).transpose()?;
    // Without a name there is no target: the job learns without one.
    let goal_of = |table: &Table| match target.is_empty() {
        true => Ok(None),
        false => table.readable_column(target).map(Some),
    };
    let goal = goal_of(&table)?;
    let chosen = chosen(&table, goal, columns.as_deref(), ignore)?;
    for name in words {
        table.column(name)?;
    }
    let (missing, unseen) = (missing_of(*missing), unseen_of(*unseen));
    if missing == Missing::Drop {
        drop_rows(&mut table, &chosen, goal)?;
        if let Some(test) = &mut test {
            let same = |&column: &usize| test.readable_column(&table.names()[column]);
            let columns = chosen.iter().map(same).collect::<Result<Vec<_>, _>>()?;
            let goal = goal_of(test)?;
            drop_rows(test, &columns, goal)?;
        }
    }
    let goals = Goals::of(&table, goal, *task)?;
    let y = goals.of_rows(&table, goal, reading)?;
    let (draft, x) = Draft::of(&table, &chosen, words, missing, unseen)?;
    let test = match test {
        None => None,
        Some(test) => {
            let y = goals.of_rows(&test, goal_of(&test)?, reading)?;
            // The rows for training are all of the file, so what they teach is known.
            let encoding = draft.fit(x.as_slice::<f64>().unwrap_or_default())?;
            Some((encoding.encode(&test)?, y))
        }
    };
    let outputs = if *task == Task::Classes { goals.0.names().len() } else { 1 };
    let form = Form {
        outputs,
        draft: Some(draft),
        labels: goals.0,
        target: goal.map(|_| target.clone()),
        ..Form::default()
    };
    Ok(Raw { x, y, test, form })
}

fn check_inputs(inputs: Inputs) -> Result<(), Error> {
    match inputs {
        Inputs::Standardised | Inputs::Raw => Ok(()),
        Inputs::StandardisedAsOne | Inputs::Coordinates => Err(Error::usage(
            format!("data.inputs = {:?} is for columns of one kind, those of a table differ", inputs.word()),
            "set data.inputs = \"standardised\" or \"raw\"",
        )),
    }
}

fn missing_of(missing: job::Missing) -> Missing {
    match missing {
        job::Missing::Refuse => Missing::Refuse,
        job::Missing::Drop => Missing::Drop,
        job::Missing::Mean => Missing::Mean,
        job::Missing::Median => Missing::Median,
    }
}

fn unseen_of(unseen: job::Unseen) -> Unseen {
    match unseen {
        job::Unseen::Refuse => Unseen::Refuse,
        job::Unseen::Zeros => Unseen::Zeros,
    }
}

/// The columns that are inputs.
fn chosen(
    table: &Table,
    goal: Option<usize>,
    columns: Option<&[String]>,
    ignore: &[String],
) -> Result<Vec<usize>, Error> {
    let of = |names: &[String]| names.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>();
    let ignored = of(ignore)?;
    let all = match columns {
        Some(names) => of(names)?,
        None => (0..table.names().len()).filter(|&column| Some(column) != goal).collect(),
    };
    if let Some(goal) = goal.filter(|goal| all.contains(goal)) {
        let name = &table.names()[goal];
        return Err(Error::usage(
            format!("the target {name:?} is one of the inputs"),
            "leave it out of data.columns: it would be known before it is predicted",
        ));
    }
    let chosen: Vec<usize> = all.into_iter().filter(|column| !ignored.contains(column)).collect();
    if chosen.is_empty() {
        return Err(Error::usage("no column is left as an input", "shorten data.ignore"));
    }
    for &column in &chosen {
        table.readable_column(&table.names()[column])?;
    }
    Ok(chosen)
}

/// Leaves out rows with a cell that holds nothing.
fn drop_rows(table: &mut Table, columns: &[usize], goal: Option<usize>) -> Result<(), Error> {
    table.keep(|table, row| columns.iter().chain(&goal).all(|&column| table.cell(row, column).is_some()));
    if table.rows() == 0 {
        return Err(Error::usage(
            format!("{}: every row has a cell that holds nothing", table.path().display()),
            "leave out the columns that have none (data.ignore), or set data.missing = \"mean\"",
        ));
    }
    Ok(())
}

/// From so many classes on, most of them in a row of their own, they are none.
const MANY: usize = 20;

/// What targets become numbers by: the classes, or nothing where they are quantities.
struct Goals(Labels);

impl Goals {
    fn of(table: &Table, goal: Option<usize>, task: Task) -> Result<Goals, Error> {
        let Some(goal) = goal else { return Ok(Goals(Labels::default())) };
        let found = table.look_at(goal);
        if task == Task::Regression {
            if found.contents != Contents::Numbers {
                let problem = format!(
                    "the target {:?} holds {}, and data.task = \"regression\" wants numbers",
                    found.name, found.contents
                );
                let hint = "set data.task = \"classes\" and loss.kind = \"cross_entropy\", or for two classes \
                            data.task = \"binary\" and loss.kind = \"bce\"";
                return Err(Error::usage(problem, hint));
            }
            return Ok(Goals(Labels::default()));
        }
        let labels = Labels::of(table, goal)?;
        let (classes, rows) = (labels.names().len(), table.rows());
        if classes > MANY && 2 * classes > rows {
            let (what, hint) = match found.contents {
                Contents::Numbers => (
                    "numbers",
                    "quantities are learned with data.task = \"regression\", data.targets = \"standardised\" and loss.kind = \
                     \"mse\", without train.stratified: see jobs/regression.toml",
                ),
                _ => ("words", "name a target with several rows for each word"),
            };
            let problem = format!(
                "the target {:?} holds {classes} different {what} in {rows} rows: no classes",
                found.name
            );
            return Err(Error::usage(problem, hint));
        }
        match classes {
            n if task == Task::Binary && n != 2 => Err(Error::usage(
                format!("the target {:?} has {n} classes, and data.task = \"binary\" wants two", found.name),
                "set data.task = \"classes\" and loss.kind = \"cross_entropy\"",
            )),
            _ => Ok(Goals(labels)),
        }
    }

    fn of_rows(&self, table: &Table, goal: Option<usize>, reading: Reading) -> Result<Array, Error> {
        let Some(goal) = goal else { return no_targets(table.rows()) };
        let values =
            if self.0.names().is_empty() { table.numbers(goal)? } else { self.0.classes(table, goal)? };
        let y = targets(values)?;
        let outputs = self.0.names().len().max(1);
        reading.check_targets(table.path(), &y, outputs)?;
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Data;
    use crate::job::Job;
    use std::fs;

    const FLOWERS: &str = "id,colour,height,kind\n1,red,2.5,rose\n2,white,,lily\n3,red,3,rose\n4,yellow,1,tulip\n\
                           5,white,2,lily\n6,yellow,1.5,tulip\n";

    fn load(text: &str, set: &[&str]) -> Result<Data, crate::Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flowers.csv");
        fs::write(&path, text).unwrap();
        let mut all = vec!["data.kind=table".into(), format!("data.path={}", path.display())];
        all.extend(set.iter().map(|s| s.to_string()));
        Data::load(&Job::parse("", &all).unwrap())
    }

    const CLASSES: [&str; 4] =
        ["data.target=kind", "data.task=classes", "loss.kind=cross_entropy", "data.ignore=[\"id\"]"];

    #[test]
    fn quantities_and_names_are_no_classes() {
        let rows = |of: &dyn Fn(usize) -> String| {
            (0..30).fold("x,kind\n".to_owned(), |text, i| text + &format!("{i},{}\n", of(i)))
        };
        let said = |text: String| load(&text, &CLASSES[..3]).unwrap_err().to_string();
        let numbers = said(rows(&|i| format!("{}.5", i)));
        assert!(
            numbers.contains("30 different numbers in 30 rows") && numbers.contains("regression"),
            "{numbers}"
        );
        assert!(load(&rows(&|i| format!("word {}", i / 3)), &CLASSES[..3]).is_ok());
        let words = said(rows(&|i| format!("word {i}")));
        assert!(words.contains("30 different words in 30 rows"), "{words}");
    }

    #[test]
    fn words_and_numbers_are_inputs_and_words_are_classes() {
        let data = load(FLOWERS, &[&CLASSES[..], &["data.missing=mean"]].concat()).unwrap();
        let p = &data.preparation;
        assert_eq!((p.columns, p.inputs(), p.outputs), (2, 4, 3));
        assert_eq!(p.labels.names(), ["lily", "rose", "tulip"]);
        let (x, y) = data.train.arrays().unwrap();
        let x = x.as_slice::<f32>().unwrap();
        // red, white, yellow; the height that is missing is the mean, 0 once standardised.
        assert_eq!(&x[4..8], [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(y.as_slice::<i64>().unwrap(), [1, 0, 1, 2, 0, 2]);
        let dropped = load(FLOWERS, &[&CLASSES[..], &["data.missing=drop"]].concat()).unwrap();
        assert_eq!(dropped.train.rows(), 5);
    }

    #[test]
    fn mistakes_say_what_to_set() {
        let classes = |more: &'static [&'static str]| [&CLASSES[..], more].concat();
        for (set, expected) in [
            (classes(&[]), "line 3, character 9: column \"height\" has nothing in this row"),
            (classes(&["data.target=kinds"]), "no column \"kinds\""),
            (classes(&["data.columns=[\"kind\",\"height\"]"]), "is one of the inputs"),
            (classes(&["data.columns=[\"id\"]"]), "no column is left"),
            (classes(&["data.words=[\"size\"]"]), "no column \"size\""),
            (classes(&["data.inputs=standardised_as_one"]), "for columns of one kind"),
            (vec!["data.target=kind"], "holds words, and data.task = \"regression\" wants numbers"),
            (vec!["data.target=kind", "data.task=binary", "loss.kind=bce"], "has 3 classes"),
        ] {
            let error = load(FLOWERS, &set).unwrap_err().to_string();
            assert!(error.contains(expected), "{set:?}: {error}");
        }
    }

    #[test]
    fn words_that_training_lacks_are_zeros_or_an_error() {
        // For some seeds the one blue row is set apart.
        let mut text = String::from("c,y\n");
        (0..9).for_each(|i| text += if i == 4 { "blue,1\n" } else { "red,2\n" });
        let found: Vec<String> = (0..20)
            .filter_map(|seed| {
                let seed = format!("train.seed={seed}");
                load(&text, &["data.target=y", "train.validation=0.2", &seed]).err().map(|e| e.to_string())
            })
            .collect();
        assert!(
            !found.is_empty() && found.len() < 20 && found[0].contains("\"blue\" in rows for validation")
        );
        for seed in 0..5 {
            let seed = format!("train.seed={seed}");
            load(&text, &["data.target=y", "train.validation=0.2", "data.unseen=zeros", &seed]).unwrap();
        }
    }
}
