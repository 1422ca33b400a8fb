//! The kinds of problems: what clients tell apart.

use poem::http::StatusCode;
use poem_openapi::Enum;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $urn:literal, $status:ident, $title:literal;)*) => {
        /// The kinds of problems. For a kind that a client does not know, the HTTP status says what to do. New kinds
        /// may be added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[oai(rename = "ProblemType")]
        pub(crate) enum ProblemKind {
            $($(#[$doc])* #[oai(rename = $urn)] $kind,)*
        }

        impl ProblemKind {
            /// The kind as in a problem document.
            pub(crate) fn urn(self) -> &'static str {
                match self { $(Self::$kind => $urn,)* }
            }

            /// The status that goes with it.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// The kind in words, for people.
            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }
        }
    };
}

kinds! {
    /// A fault of the service.
    Internal = "urn:voting:problem:internal", INTERNAL_SERVER_ERROR, "Something went wrong";
    /// The path, method, content type or syntax of the request is wrong. The status says which.
    Request = "urn:voting:problem:request", BAD_REQUEST, "Bad Request";
    /// The request is understood, but its values are not valid.
    Invalid = "urn:voting:problem:invalid", UNPROCESSABLE_ENTITY, "Invalid request";
    /// No poll has this id.
    UnknownPoll = "urn:voting:problem:unknown-poll", NOT_FOUND, "No such poll";
    /// There is no poll at all.
    NoPolls = "urn:voting:problem:no-polls", NOT_FOUND, "No poll yet";
    /// The poll takes no more ballots.
    PollClosed = "urn:voting:problem:poll-closed", CONFLICT, "This poll is closed";
    /// The poll has not opened yet.
    PollNotOpen = "urn:voting:problem:poll-not-open", CONFLICT, "This poll is not open yet";
    /// The poll is not final, so its ballots can still change.
    PollNotFinal = "urn:voting:problem:poll-not-final", CONFLICT, "This poll is not final yet";
    /// The poll was changed after the voter saw it. Look it up again.
    PollChanged = "urn:voting:problem:poll-changed", CONFLICT, "This poll has changed";
    /// The result of the poll is not shown, or not yet, or not to this client. The detail says to whom it is shown, and
    /// when.
    ResultHidden = "urn:voting:problem:result-hidden", FORBIDDEN, "The result is not shown";
    /// No tally with this digest is known here, or not any more. Ask for the pointer again.
    UnknownTally = "urn:voting:problem:unknown-tally", NOT_FOUND, "No such tally";
    /// Events after this place are not kept any more, or the place is that of another database. The detail names those that are
    /// there.
    EventsGone = "urn:voting:problem:events-gone", GONE, "These events are gone";
    /// Too many wait for events, or follow them. Try again later.
    TooManyFollowers = "urn:voting:problem:too-many-followers", SERVICE_UNAVAILABLE, "Too many follow the events";
    /// Somebody has changed the poll since it was read: its `ETag` is another one.
    RevisionChanged = "urn:voting:problem:revision-changed", PRECONDITION_FAILED, "Changed meanwhile";
    /// The ballot names no options of the poll, or too many.
    InvalidChoice = "urn:voting:problem:invalid-choice", UNPROCESSABLE_ENTITY, "This is not a vote in this poll";
    /// The ballot was not stored: too many ballots arrived at once.
    Overloaded = "urn:voting:problem:overloaded", SERVICE_UNAVAILABLE, "The vote was not taken";
    /// The ballot was not stored.
    NotStored = "urn:voting:problem:not-stored", SERVICE_UNAVAILABLE, "The vote was not taken";
    /// It is not known whether the ballot was stored. Casting it again is safe.
    OutcomeUnknown = "urn:voting:problem:outcome-unknown", SERVICE_UNAVAILABLE, "The vote is not confirmed";
    /// The voter's cookie is there and cannot be read. Nothing takes its place: a new voter sends none.
    InvalidVoterCookie = "urn:voting:problem:invalid-voter-cookie", BAD_REQUEST, "Your voter cookie cannot be read";
    /// Several cookies name a voter, and they differ.
    SeveralVoterCookies = "urn:voting:problem:several-voter-cookies", BAD_REQUEST, "There are several voter cookies";
    /// The voter's cookie is of a kind that is no longer taken.
    OutdatedVoterCookie = "urn:voting:problem:outdated-voter-cookie", BAD_REQUEST, "Your voter cookie is too old";
    /// The voting page had set a cookie, and the ballot came without it.
    CookiesNeeded = "urn:voting:problem:cookies-needed", BAD_REQUEST, "Cookies are needed to vote";
    /// This service has another secret than the log is held to. Another service may take the ballot.
    ForeignSecret = "urn:voting:problem:foreign-secret", SERVICE_UNAVAILABLE, "This server takes no votes";
    /// The entries of the log are not signed, so that they cannot have ballots that are blank or taken back.
    EmptyBallotsNotTaken = "urn:voting:problem:empty-ballots-not-taken", CONFLICT, "This vote is not possible here yet";
    /// The request names no voter, so there is no ballot to take back.
    NothingToTakeBack = "urn:voting:problem:nothing-to-take-back", NOT_FOUND, "No vote to take back";
    /// The voter must sign in to the application first.
    SignInNeeded = "urn:voting:problem:sign-in-needed", UNAUTHORIZED, "Sign in to vote";
    /// The voter may not vote here, or a rule refuses the ballot. The detail says why.
    NotEligible = "urn:voting:problem:not-eligible", FORBIDDEN, "This vote cannot be taken";
    /// The poll is for whoever has one of its codes, and the request has none.
    CodeNeeded = "urn:voting:problem:code-needed", UNAUTHORIZED, "You need a code";
    /// The code is not one of the poll, or is not valid any more. The detail says which.
    InvalidCode = "urn:voting:problem:invalid-code", FORBIDDEN, "This code is not valid";
    /// The token of an identity provider is missing or not valid. The detail says why.
    InvalidToken = "urn:voting:problem:invalid-token", UNAUTHORIZED, "This token is not valid";
    /// Too many wrong codes came from one address, or from all together. A right code is taken nevertheless.
    TooManyCodes = "urn:voting:problem:too-many-codes", TOO_MANY_REQUESTS, "Too many wrong codes";
    /// The page was made for another voter than the one who is signed in now.
    VoterChanged = "urn:voting:problem:voter-changed", CONFLICT, "Somebody else is signed in";
    /// Another site sent the request.
    CrossSite = "urn:voting:problem:cross-site", FORBIDDEN, "Sent from another site";
    /// The body is too large.
    TooLarge = "urn:voting:problem:too-large", PAYLOAD_TOO_LARGE, "The request is too large";
    /// The body did not arrive in time.
    TooSlow = "urn:voting:problem:too-slow", REQUEST_TIMEOUT, "The request took too long";
    /// The body is not a form, at an address that takes a form.
    NotAForm = "urn:voting:problem:not-a-form", UNSUPPORTED_MEDIA_TYPE, "Not a form";
    /// The service is not ready.
    NotReady = "urn:voting:problem:not-ready", SERVICE_UNAVAILABLE, "Not ready";
    /// A store does not answer.
    StoreUnavailable = "urn:voting:problem:store-unavailable", SERVICE_UNAVAILABLE, "The store does not answer";
    /// No such receipt was issued here.
    UnknownReceipt = "urn:voting:problem:unknown-receipt", NOT_FOUND, "No such receipt";
    /// No dead letter is at this position.
    UnknownDeadLetter = "urn:voting:problem:unknown-dead-letter", NOT_FOUND, "No such dead letter";
    /// The dead letter still cannot be counted.
    StillRejected = "urn:voting:problem:still-rejected", CONFLICT, "It still cannot be counted";
    /// It conflicts with the stored poll.
    Conflict = "urn:voting:problem:conflict", CONFLICT, "Conflicts with the stored poll";
    /// The service does not take bulk casts: it lacks the secret that makes receipts, or it does not sign entries.
    BulkCastsOff = "urn:voting:problem:bulk-casts-off", CONFLICT, "Bulk casts are not set up here";
    /// No more ballots can be exported at a time.
    TooManyExports = "urn:voting:problem:too-many-exports", SERVICE_UNAVAILABLE, "Too many exports";
    /// No more live results can be open at a time.
    TooManyViewers = "urn:voting:problem:too-many-viewers", SERVICE_UNAVAILABLE, "Too many viewers";
    /// One address may have no more live results open.
    TooManyViewersHere = "urn:voting:problem:too-many-viewers-here", TOO_MANY_REQUESTS, "Too many viewers at your address";
    /// One address has sent too many wrong tokens.
    TooManyTokens = "urn:voting:problem:too-many-tokens", TOO_MANY_REQUESTS, "Too many wrong tokens";
    /// Too many voters who had not voted before came from one address. The ballot was not stored.
    TooManyNewVoters = "urn:voting:problem:too-many-new-voters", TOO_MANY_REQUESTS, "Too many new voters at your address";
    /// Too many voters who had not voted before came to one poll. The ballot was not stored.
    TooManyNewVotersOfPoll = "urn:voting:problem:too-many-new-voters-of-poll", TOO_MANY_REQUESTS, "Too many new voters in this poll";
    /// So many voters who had not voted before came to the poll that each of them does a proof of work. The ballot was not
    /// stored. Solve the challenge, and send the solution.
    ProofNeeded = "urn:voting:problem:proof-needed", TOO_MANY_REQUESTS, "A proof of work is needed";
    /// No webhook has this id, or it has no such delivery.
    UnknownWebhook = "urn:voting:problem:unknown-webhook", NOT_FOUND, "No such webhook";
    /// There are as many webhooks as there may be.
    TooManyWebhooks = "urn:voting:problem:too-many-webhooks", CONFLICT, "Too many webhooks";
    /// The service sends no webhooks: it has no key with which it could keep their secrets.
    WebhooksOff = "urn:voting:problem:webhooks-off", CONFLICT, "Webhooks are not set up here";
    /// No token has this name.
    UnknownToken = "urn:voting:problem:unknown-token", NOT_FOUND, "No such token";
    /// There is a token of this name.
    TokenExists = "urn:voting:problem:token-exists", CONFLICT, "There is such a token";
    /// The token is known, and its role may not do this.
    Forbidden = "urn:voting:problem:forbidden", FORBIDDEN, "Not for this role";
    /// The operator's token is missing or wrong.
    Unauthorized = "urn:voting:problem:unauthorized", UNAUTHORIZED, "Not authorized";
}
