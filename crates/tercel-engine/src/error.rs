//! What can go wrong while a plan is made or run.

use datafusion::error::DataFusionError;

/// An error of planning or running, in words for the user.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineError {
    /// A stable kebab-case name.
    pub code: &'static str,
    pub message: String,
}

impl EngineError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> EngineError {
        EngineError { code, message: message.into() }
    }
    /// A fault of this program: the plan and its data do not agree.
    pub(crate) fn internal(message: impl Into<String>) -> EngineError {
        EngineError::new("internal", message)
    }
    /// A plan that the engine cannot run.
    pub(crate) fn unsupported(message: impl Into<String>) -> EngineError {
        EngineError::new("unsupported-plan", message)
    }
}

impl std::fmt::Display for EngineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for EngineError {}

impl From<DataFusionError> for EngineError {
    fn from(e: DataFusionError) -> EngineError {
        if let DataFusionError::External(inner) = e.find_root()
            && let Some(ours) = inner.downcast_ref::<EngineError>()
        {
            return ours.clone();
        }
        let code = match e.find_root() {
            DataFusionError::ResourcesExhausted(_) => "out-of-memory",
            DataFusionError::SQL(..) => "sql-syntax",
            DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => "plan",
            DataFusionError::NotImplemented(_) => "unsupported-plan",
            _ => "execution",
        };
        EngineError::new(code, e.strip_backtrace())
    }
}

impl From<EngineError> for DataFusionError {
    fn from(e: EngineError) -> DataFusionError {
        DataFusionError::External(Box::new(e))
    }
}
