//! What a lane must do about an error of the client library.
//!
//! The library's own advice (fatal, abort, retry) is followed where it gives any. Two things
//! it cannot know: that an end without an answer is an unknown outcome, and that a record of
//! ours can be to blame for an abort only when the broker refused its content.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::pipeline::log::LogError;

/// A call outside a transaction: consumer calls and questions to the cluster.
pub(super) fn asked(error: &KafkaError) -> LogError {
    LogError::Retry(error.to_string())
}

/// A client that could not be made. It is the configuration, which no retry changes; the
/// lane is started anew all the same, ever more slowly, and says so.
pub(super) fn made(error: &KafkaError) -> LogError {
    LogError::Fatal(format!("cannot make a Kafka client: {error}"))
}

/// A record that the producer did not take, or that the broker refused.
pub(super) fn refused(code: Code) -> LogError {
    let reason = format!("a record was not written: {code}");
    match code {
        Code::MessageSizeTooLarge
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::MessageBatchTooLarge
        | Code::InvalidArgument => LogError::Abort(reason),
        Code::Fenced | Code::InvalidProducerEpoch | Code::ProducerFenced | Code::Fatal => {
            LogError::Rebuild(reason)
        }
        _ => LogError::Retry(reason),
    }
}

/// A step of a transaction before its end. `sure` is false where a missing answer leaves open
/// what happened.
pub(super) fn transaction(error: &KafkaError, sure: bool) -> LogError {
    let KafkaError::Transaction(detail) = error else {
        return if sure { asked(error) } else { LogError::Rebuild(error.to_string()) };
    };
    let reason = error.to_string();
    if detail.is_fatal() {
        return LogError::Rebuild(reason);
    }
    match detail.code() {
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::RebalanceInProgress
        | Code::FencedInstanceId => return LogError::Moved(reason),
        _ => {}
    }
    if detail.txn_requires_abort() {
        return match refused(detail.code()) {
            LogError::Abort(_) => LogError::Abort(reason),
            LogError::Rebuild(_) => LogError::Rebuild(reason),
            _ => LogError::Retry(reason),
        };
    }
    if detail.is_retriable() && sure { LogError::Retry(reason) } else { LogError::Rebuild(reason) }
}

/// An offset commit without a transaction.
pub(super) fn committed(error: &KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(
            Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::RebalanceInProgress
            | Code::FencedInstanceId,
        ) => LogError::Moved(error.to_string()),
        _ => LogError::Retry(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_content_blames_a_record() {
        assert!(matches!(refused(Code::MessageSizeTooLarge), LogError::Abort(_)));
        assert!(matches!(refused(Code::MessageTimedOut), LogError::Retry(_)));
        assert!(matches!(refused(Code::NotLeaderForPartition), LogError::Retry(_)));
        assert!(matches!(refused(Code::ProducerFenced), LogError::Rebuild(_)));
    }

    #[test]
    fn a_flush_without_an_end_leaves_the_outcome_open() {
        let error = KafkaError::Flush(Code::OperationTimedOut);
        assert!(matches!(transaction(&error, false), LogError::Rebuild(_)));
        assert!(matches!(transaction(&error, true), LogError::Retry(_)));
    }

    #[test]
    fn a_commit_of_a_former_generation_blames_nobody() {
        let error = KafkaError::ConsumerCommit(Code::IllegalGeneration);
        assert!(matches!(committed(&error), LogError::Moved(_)));
    }
}
