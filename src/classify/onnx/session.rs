//! A graph that is ready to run, on one thread.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::super::OpenError;
use super::tokens::one_line;

/// The one environment that a process may have, with the library that it came from.
static ENVIRONMENT: Mutex<Option<(Environment, PathBuf)>> = Mutex::new(None);

/// Loads the library, once in a process: a later path is not looked at. Returns the one in use.
pub(super) fn environment(path: &Path) -> Result<(Environment, PathBuf), OpenError> {
    let mut known = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((environment, path)) = &*known {
        return Ok((environment.clone(), path.clone()));
    }
    let wrong = |reason: String| OpenError::Library { path: path.to_path_buf(), reason };
    let builder = ort::init_from(path).map_err(|error| wrong(one_line(&error.to_string())))?;
    let environment = builder
        .with_name("weir")
        .with_telemetry(false)
        .build()
        .map_err(|error| wrong(one_line(&error.to_string())))?;
    // What it has to say comes back as an error, and is told in one sentence.
    environment.set_log_level(LogLevel::Fatal);
    *known = Some((environment.clone(), path.to_path_buf()));
    Ok((environment, path.to_path_buf()))
}

/// What a graph may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Ids,
    Mask,
    /// All zeros: there is one text.
    Types,
}

/// One window as the graph reads it: the model's begin, the text's tokens, the model's end.
pub(super) type Row = Vec<u32>;

/// A session of the model.
pub(super) struct Runner {
    session: Session,
    inputs: Vec<(String, Input)>,
    output: String,
    classes: usize,
    pad: u32,
    /// Rows and tokens that the graph was exported for, where it was for so many and no others.
    pub(super) rows: Option<usize>,
    pub(super) length: Option<usize>,
}

impl Runner {
    /// Prepares a graph. `classes` is how many the configuration names, or 0.
    pub(super) fn open(
        environment: &Environment,
        graph: &[u8],
        pad: u32,
        classes: usize,
    ) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| one_line(&error.to_string());
        let built = Session::builder(environment).map_err(|error| said(&error))?;
        let built = built.with_optimization_level(GraphOptimizationLevel::Level3);
        let built = built.map_err(|error| said(&error))?.with_intra_threads(1);
        let built = built.map_err(|error| said(&error))?.with_inter_threads(1);
        let built = built.map_err(|error| said(&error))?.with_intra_op_spinning(false);
        let mut built = built.map_err(|error| said(&error))?;
        let session = built
            .commit_from_memory(graph)
            .map_err(|error| format!("not a graph that can be run: {}", said(&error)))?;
        let mut inputs = Vec::new();
        let (mut rows, mut length) = (None, None);
        for outlet in session.inputs() {
            let input = match outlet.name() {
                "input_ids" => Input::Ids,
                "attention_mask" => Input::Mask,
                "token_type_ids" => Input::Types,
                other => {
                    return Err(format!("its graph asks for `{other}`, which is not known here"));
                }
            };
            let shape = tensor(outlet, TensorElementType::Int64)?;
            let &[batch, tokens] = shape else {
                return Err(format!(
                    "its input `{}` has {} dimensions, not 2",
                    outlet.name(),
                    shape.len()
                ));
            };
            rows = usize::try_from(batch).ok().filter(|&n| n > 0).or(rows);
            length = usize::try_from(tokens).ok().filter(|&n| n > 0).or(length);
            inputs.push((outlet.name().to_owned(), input));
        }
        if !inputs.iter().any(|(_, input)| *input == Input::Ids) {
            return Err("its graph asks for no `input_ids`".to_owned());
        }
        let outputs = session.outputs();
        let output = match outputs {
            [only] => only,
            many => many.iter().find(|output| output.name() == "logits").ok_or_else(|| {
                let names: Vec<&str> = many.iter().map(Outlet::name).collect();
                format!("none of its outputs ({}) is `logits`", names.join(", "))
            })?,
        };
        let name = output.name().to_owned();
        let shape = tensor(output, TensorElementType::Float32)?;
        let &[_, found] = shape else {
            return Err(format!(
                "its output `{name}` has {} dimensions, not 2: it does not classify whole texts",
                shape.len()
            ));
        };
        let found = usize::try_from(found).unwrap_or(classes);
        if found != classes {
            return Err(format!(
                "its output `{name}` has {found} classes, but `id2label` names {classes}"
            ));
        }
        Ok(Self { session, inputs, output: name, classes, pad, rows, length })
    }

    /// Names of the inputs that the graph asks for.
    pub(super) fn input_names(&self) -> Vec<String> {
        self.inputs.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Logits of each row, all filled up to `length` tokens.
    ///
    /// # Errors
    /// What the runtime said, in one line; also where it was told to stop.
    pub(super) fn run(
        &mut self,
        rows: &[Row],
        length: usize,
        options: &RunOptions,
    ) -> Result<Vec<Vec<f32>>, String> {
        let said = |error: ort::Error| one_line(&error.to_string());
        let count = self.rows.unwrap_or(rows.len()).max(rows.len());
        let filled = |of: &dyn Fn(usize, u32) -> i64, rest: i64| {
            let mut data = Vec::with_capacity(count * length);
            for row in rows {
                data.extend(row.iter().enumerate().map(|(at, &id)| of(at, id)).take(length));
                data.resize(data.len().next_multiple_of(length.max(1)), rest);
            }
            data.resize(count * length, rest);
            data
        };
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(3);
        for (name, input) in &self.inputs {
            let data = match input {
                Input::Ids => filled(&|_, id| i64::from(id), i64::from(self.pad)),
                Input::Mask => filled(&|_, _| 1, 0),
                Input::Types => filled(&|_, _| 0, 0),
            };
            let tensor = Tensor::from_array(([count, length], data)).map_err(said)?;
            values.push((Cow::Borrowed(name.as_str()), tensor.into()));
        }
        let outputs = self.session.run_with_options(values, options).map_err(said)?;
        let logits =
            outputs.get(&self.output).ok_or_else(|| format!("no output `{}`", self.output))?;
        let (shape, data) = logits.try_extract_tensor::<f32>().map_err(said)?;
        if shape.len() != 2 || data.len() != count * self.classes {
            return Err(format!(
                "its output has {} numbers, not {}",
                data.len(),
                count * self.classes
            ));
        }
        Ok(data.chunks(self.classes).take(rows.len()).map(<[f32]>::to_vec).collect())
    }
}

fn tensor(outlet: &Outlet, wanted: TensorElementType) -> Result<&[i64], String> {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } if *ty == wanted => Ok(shape),
        other => Err(format!("`{}` is {other}, but must be a tensor of {wanted}", outlet.name())),
    }
}
