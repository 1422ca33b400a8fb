# The texts of the voters' pages, in English. docs/languages.md says how to add a language.
# `$number` is a count: a message may differ by its plural category. All other variables are texts.

## The language

own-name = English

## Numbers, dates and lists

percent = { $share }%
date = { $day } { $month } { $year }
moment = { $weekday }, { $date }, { $time } ({ $zone })
since-at = { $time } UTC on { $date }
sentences = { $one } { $two }
listed = { $one }, { $two }
quoted = “{ $text }”
monday = Monday
tuesday = Tuesday
wednesday = Wednesday
thursday = Thursday
friday = Friday
saturday = Saturday
sunday = Sunday
january = January
february = February
march = March
april = April
may = May
june = June
july = July
august = August
september = September
october = October
november = November
december = December

## Every page

skip-to-content = Skip to content
home = Home
languages = Language
this-poll = This poll
vote = Vote
results = Results
see-results = See results
other-polls = Other polls
all-polls = All polls
served-by = Served by

## The vote page: what is said of the poll

pick-of-two = Pick one to vote.
pick-one = Pick one, then send your vote.
pick-several = Choose up to { $number }, then send your vote.
first-vote-counts = Your first vote counts.
voted-first-counts = You have voted. Your first vote counts.
voted-of-two = To change your vote, pick the other one.
voted-one = To change your vote, pick another one and send again.
voted-several = You can choose others, up to { $number }, and send again.
voted-blank = You voted blank. You can still vote for an option.
forgotten = A vote was cast in this browser. If you vote now, your vote takes its place.
forgotten-first-counts = A vote was cast in this browser. The first vote counts.
vote-until = You can vote until { $at }.
vote-and-change-until = You can vote and change your vote until { $at }.
change-until = You can change your vote until { $at }.
change-until-closed = You can change your vote until the poll closes.
change-until-with-cookie = You can change your vote until { $at }, if you keep the cookie that came with this answer.
change-until-closed-with-cookie = You can change your vote until the poll closes, if you keep the cookie that came with this answer.
again-until = You can vote again until { $at }.
again-until-closed = You can vote again until the poll closes.
closes-on = The poll closes on { $at }.
not-open-yet = Not open yet
opens-on = This poll opens on { $at }.
is-closed = This poll is closed
no-votes-no-changes = Votes can no longer be cast or changed.
no-votes = Votes can no longer be cast.

## The vote page: what is said of a vote

received = Received. If you voted before, your first vote counts.
withdrawn = You took your vote back. No vote of yours counts now.
vote-is-in = Your vote for { $label } is in.
blank-is-in = Your blank vote is in.
choices-are-in =
    { $number ->
        [one] Your choice is in.
       *[other] Your { $number } choices are in.
    }
confirmed = Your last confirmed vote is for { $label }.
confirmed-blank = Your last confirmed vote is blank.
confirmed-choices =
    { $number ->
        [one] Your last confirmed vote has { $number } choice.
       *[other] Your last confirmed vote has { $number } choices.
    }
not-shown = Your vote is no longer shown in this browser. It still counts.
your-vote = Your vote
last-confirmed = Last confirmed vote
received-word = Received
change-to-this = Change to this
change-vote = Change vote
not-sent = Not sent yet

## The vote page: buttons and hints

or = or
skip-options = Skip the options
try-again = Try again
dismiss = Dismiss
about-blank = You can also vote for none of the options.
vote-blank = Vote blank
about-withdraw = You can take your vote back. Then no vote of yours counts.
withdraw = Take my vote back
about-forget = Whoever uses this browser sees your vote here, until the browser is closed.
forget = Forget this vote on this device
about-code-kept = You vote with a code. Whoever uses this browser can vote with it, until the browser is closed.
forget-code = Forget the code on this device
about-session = You have signed in to vote. Whoever uses this browser can vote as you, until the session is over.
sign-out = Sign out on this device

## Who could link a vote to a person

secrecy = Who could link your vote to you
secrecy-forgotten = The voters of this poll are forgotten: only the number of votes for each choice is kept.
secrecy-backups = Backups and logs from before may still say who cast which vote, until they are deleted.
secrecy-application = Your vote is stored with a number that the application you signed in to has given you. Whoever runs this site, and knows whose number it is, could tell how you voted.
secrecy-code = Your vote is stored with a number that is made from your code, without your name. Whoever runs this site, and knows to whom your code was given, could tell how you voted.
secrecy-login = Your vote is stored with a number that is made from the name under which you signed in, without this name. Whoever runs this site, and knows this name, could tell how you voted.
secrecy-cookie = Your vote is stored with a number that is made from a cookie in your browser, without your name. Whoever runs this site, and gets hold of this cookie, could tell how you voted.
trust-cookie = Your vote is stored without your name.
trust-code = Your vote is stored without your name, under a number that is made from your code.
trust-login = Your vote is stored without your name, under a number that is made from your sign-in.
trust-application = Your vote is stored under a number that the application you signed in to has given you.
forgotten-at-close = The voters are forgotten when the poll is closed. Backups and logs from before may keep them longer.
forgotten-after =
    { $number ->
        [one] The voters are forgotten { $number } day after the poll is closed. Backups and logs from before may keep them longer.
       *[other] The voters are forgotten { $number } days after the poll is closed. Backups and logs from before may keep them longer.
    }
deleted-at-close = The votes are deleted when the poll is closed. Backups and logs may keep them longer.
deleted-after =
    { $number ->
        [one] The votes are deleted { $number } day after the poll is closed. Backups and logs may keep them longer.
       *[other] The votes are deleted { $number } days after the poll is closed. Backups and logs may keep them longer.
    }
kept-for-good = This stays so for as long as the votes, their backups and logs are kept, or until the host has the voters forgotten.

## What the vote page's script says

sending = Sending…
until-sent = { $what }, until you send
sent-not-confirmed = Sent, not confirmed
count-not-sent = Not sent yet.
count-not-confirmed = Sent, but not confirmed.
count-last-confirmed = This is your last confirmed vote.
count-yours = This is your vote.
chosen-of = { $number } of { $max } chosen.
is-the-most = { $number } is the most. Clear one first.
choose-one = Choose at least one.
pick-first = Pick one first.
opens-in = Opens in { $time }.
closes-in = Closes in { $time }.
days =
    { $number ->
        [one] { $number } day
       *[other] { $number } days
    }
hours =
    { $number ->
        [one] { $number } hour
       *[other] { $number } hours
    }
minutes =
    { $number ->
        [one] { $number } minute
       *[other] { $number } minutes
    }
seconds =
    { $number ->
        [one] { $number } second
       *[other] { $number } seconds
    }
time-parts = { $one } { $two }
unknown = We do not know whether your vote arrived. Trying again is safe: it counts once.
unknown-before = We do not know whether your last try arrived. Trying again is safe: it counts once.
unknown-earlier = We do not know whether an earlier try arrived.
unknown-with-cookie = We do not know whether your vote arrived. Trying again is safe: it counts once, if you keep the cookie that came with this answer.
offline = You are offline. We do not know whether your vote arrived. It is sent again when you are online; it counts once.
online-again = You are online again. Your vote is being sent once more…
kept = We do not know whether your vote arrived. It is sent again by itself, and counts once.
do-not-send = Do not send it
sent-again = Your vote is being sent once more…
not-sent-again = Your vote was not sent again.
cookies-blocked = Your browser does not keep the cookie that makes sure that you count once. Allow cookies for this site, then vote.
cookie-unreadable = Your browser's cookie does not say who you are.
cookie-lost = This browser has lost the cookie of your vote, which still counts. If you vote now, you vote as a new voter.
vote-as-new = Vote as a new voter
start-over = Start over
closed-before = This poll closed before your vote arrived. It was not counted.
earlier-counts = The vote that was confirmed before counts.
not-counted = Your vote was not counted.
again-in-seconds =
    { $number ->
        [one] Please try again in { $number } second.
       *[other] Please try again in { $number } seconds.
    }
again-soon = Please try again in a moment.
texts-changed = The texts of this poll have been changed. Please read them again.
open-now = This poll is open now.
closed-now = This poll has closed.
unsent-not-counted = What you had not sent is not counted.
proving = Very many people vote here just now. Your vote is sent in a moment.
crowded = Very many people vote here just now. Please try again.

## The result page

results-of = Results: { $title }
result = Result
vote-now = Vote now
live = Live
reconnecting = Reconnecting
polled = Refreshes every 5 seconds
stalled-since = Not updated since { $since }
final-word = Final
stop-reading = Stop reading changes aloud
start-reading = Read changes aloud
shares-of-voters =
    { $number ->
        [one] Each share is a share of the voters, up to { $whole }. Each voter could choose { $number }.
       *[other] Each share is a share of the voters. Each voter could choose up to { $number }, so the shares can add up to more than { $whole }.
    }
voters =
    { $number ->
        [one] { $number } voter
       *[other] { $number } voters
    }
voters-and-blank = { $voters }, { $number } voted blank ({ $share })
votes =
    { $number ->
        [one] { $number } vote
       *[other] { $number } votes
    }
not-begun = Voting has not begun yet.
voting-is-open = Voting is open.
voting-has-ended = Voting has ended. The last votes are being counted.
closed-without-votes = The poll closed without any votes.
wins = { $label } wins with { $votes } of { $voters }.
tie = A tie: { $labels } have { $votes } of { $voters } each.
tie-of =
    { $number ->
        [one] A tie: { $number } options have { $votes } of { $voters } each.
       *[other] A tie: { $number } options have { $votes } of { $voters } each.
    }
only-blank = All votes are blank: no option has won.
voted-of =
    { $number ->
        [one] { $number } of { $electorate } voted ({ $share })
       *[other] { $number } of { $electorate } voted ({ $share })
    }
order-of-options = Order of the options
by-votes = Most votes first
by-poll = In the poll's order
show-all =
    { $number ->
        [one] Show all { $number } options
       *[other] Show all { $number } options
    }
find-option = Find an option
find = Find
no-option-found = No option has this text.
votes-over-time = Votes over time
numbers-of-chart = The numbers of this chart
time-word = Time
voters-word = Voters
span-of-time = { $begin } to { $end } ({ $zone })
no-votes-yet = No votes yet.
most-votes = Most votes
leading = Leading
tied = Tied
place = { $label } { $share }
announcement = { $total }. { $places }.
only-the-host = Only the host of this poll sees its result.
then-shown = Voting has ended. The last votes are being counted. Then the result is shown.
shown-after-vote = The result is shown to people who have voted. Everybody can see it when the poll has closed.
shown-after-close = The result is shown when the poll has closed.
it-closes-on = It closes on { $at }.
turnout-since = { $turnout }, not updated since { $since }
count-out-of-date = The count cannot be read right now, so this may be out of date.
go-to-poll = Go to the poll
i-have-voted = I have voted

## The list of polls

no-poll-yet = There is no poll here yet.
search = Search
search-polls = Search polls by title
all-again = Show all polls
nothing-found = No poll has { $query } in its title.
found =
    { $number ->
        [one] { $number } poll has { $query } in its title.
       *[other] { $number } polls have { $query } in their titles.
    }
all-open =
    { $number ->
        [one] { $number } poll, which is open.
       *[other] { $number } polls, all of them open.
    }
none-open =
    { $number ->
        [one] { $number } poll, which is closed.
       *[other] { $number } polls, none of them open.
    }
some-open =
    { $number ->
        [one] { $number } poll, { $open } of them open.
       *[other] { $number } polls, { $open } of them open.
    }
draft = Draft
open = Open
being-counted = Being counted
closed = Closed
pages-of-list = Pages of this list
previous-page = Previous page
next-page = Next page
page-of = Page { $page } of { $pages }

## What search engines and messengers show

preview-scheduled = This poll is not open yet. It has these options
preview-one =
    { $number ->
        [one] Vote for { $number } option
       *[other] Vote for one of { $number } options
    }
preview-several =
    { $number ->
        [one] Vote for up to { $max } of { $number } option
       *[other] Vote for up to { $max } of { $number } options
    }
preview-closed = This poll is closed. It had these options
preview-hidden = The result of this poll is not shown here yet
preview-live = Watch the result come in
preview-result = The result of a poll
preview-list = The polls that are open, and those that are closed.
preview-options = { $begin }: { $options }.
preview-cut = { $begin }: { $options }, …
preview-bare = { $begin }.

## Codes and sign-in

other-code = This browser uses another code of this poll. Each code has one vote. If you go on, this browser votes with the new code; a vote with the other code stays as it is.
use-new-code = Use the new code
keep-other-code = Keep the other code
enter-code = Enter your code to vote in this poll.
your-code = Your code
go-on = Go on
about-letters = Small letters and spaces do not matter. O is read as 0, and I and L as 1.
sign-in = Sign in
sign-in-needed = Sign in to vote in this poll.
sign-in-again = Who you are could not be read from this request. Sign in again.
other-people = You have signed in, but this poll is for other people: it asks for a group or an e-mail domain that you do not have.
code-needed = You need a code to vote in this poll. It is on the letter or in the message that invited you.
code-unreadable = Your browser's cookie for your code is damaged, or was not set here. Enter your code again.
code-wrong = This is not a code of this poll. Compare it with the one that you were given.
code-replaced = This code was replaced by another one. Use the newer one.
code-revoked = This code is not valid any more. Ask whoever gave it to you.
too-many-codes = This is not a code of this poll, and too many wrong ones were tried. Compare it with the one that you were given, and wait a moment. A right code is always taken.

## A cookie that cannot be read

cookie-damaged = Your browser's cookie for this site does not say who you are. It is damaged, or this site did not give it.
cookie-outdated = Your browser's cookie for this site is of an older kind that this site no longer takes.
several-cookies = Your browser sent several cookies that name a voter, and they differ. Delete the cookies of this site in your browser, and of the site above it, then open this page again.
about-start-over = We do not know whether you voted before. If you start over, you are a new voter: an earlier vote of yours still counts, and you can no longer change it.
start-over-as-new = Start over as a new voter

## The receipt of a vote

about-your-vote = Your vote: receipt and more
your-receipt = Your receipt
about-receipt = With this code you can check whether your vote counts, until the voters of this poll are forgotten. It does not show what you chose.
keep-receipt-private = Whoever has the code can check this too, so keep it for yourself.
keep-as-file = Keep it as a file
check-vote = Check my vote
check-another = Check another receipt
about-check = Enter the code of your receipt to see what became of your vote. What you chose is not shown.
receipt-code = Code of the receipt
receipt-wrong = This is not the code of a receipt from here. Compare it with the one that you kept.
receipt-pending = Your vote has arrived. It waits to be counted.
receipt-counted = Your vote is in: it is the one of yours that counts.
receipt-superseded = A newer vote of yours has taken its place.
receipt-first-counts = In this poll the first vote counts, and an earlier vote of yours is there.
receipt-voided = The host has voided this vote. It does not count.
receipt-rejected = This vote was not counted.
receipt-forgotten = The voters of this poll are forgotten. Nobody can tell any more which vote was yours.
receipt-deleted = This poll is deleted, with all its votes.
reason-unreadable = It could not be read or stored. Ask the host of the poll.
reason-unknown-poll = Its poll was not known when it arrived.
reason-not-valid = It was not a valid vote in this poll.
reason-closed = It came after the poll was closed.
reason-outside-times = It came before the poll was open, or after it was closed.
reason-not-eligible = The rules of this poll do not allow it.
cast-in-minute = It was cast on { $at }.

## Failures

back-to-poll = Back to the poll
see-all-polls = See all polls
error-code = Error { $code }
title-internal = Something went wrong
title-not-found = There is nothing here
title-request = The request failed
title-unknown-poll = No such poll
title-no-polls = No poll yet
title-poll-closed = This poll is closed
title-poll-not-open = This poll is not open yet
title-poll-changed = This poll has changed
title-result-hidden = The result is not shown
title-invalid-choice = This is not a vote in this poll
title-not-taken = The vote was not taken
title-not-confirmed = The vote is not confirmed
title-cookie-unreadable = Your voter cookie cannot be read
title-several-cookies = There are several voter cookies
title-cookie-outdated = Your voter cookie is too old
title-cookies-needed = Cookies are needed to vote
title-foreign-secret = This server takes no votes
title-not-possible = This vote is not possible here yet
title-sign-in-needed = Sign in to vote
title-not-eligible = This vote cannot be taken
title-code-needed = You need a code
title-invalid-code = This code is not valid
title-too-many-codes = Too many wrong codes
title-voter-changed = Somebody else is signed in
title-cross-site = Sent from another site
title-too-slow = The request took too long
title-store = This page cannot be shown just now
title-new-voters = Too many new voters at your address
title-crowded = Too many new voters in this poll
detail-internal = This is a fault of the service. It has been logged.
detail-not-found = There is nothing at this address.
detail-unknown-poll = There is no poll at this address.
detail-poll-closed = This poll is closed: it takes no more votes. A vote that was confirmed before counts.
detail-not-open = This poll is not open yet. Your vote was not stored.
detail-changed = This poll was changed a moment ago. Your vote was not stored. Look at the poll again, then vote.
detail-nothing-chosen = No option was chosen.
detail-no-withdrawal = The first vote counts in this poll, so a vote cannot be taken back.
detail-too-many =
    { $number ->
        [one] { $number } option was chosen, the poll allows { $max }.
       *[other] { $number } options were chosen, the poll allows { $max }.
    }
detail-cross-site = A vote can only be sent from this site's own page.
detail-cross-site-form = This form can only be sent from this site's own page.
detail-not-possible = Blank votes, and taking a vote back, are not possible here yet: the entries of the log are not signed.
detail-foreign-secret = This server is set up with another secret than the others, so it takes no votes.
detail-cookies-needed = Your browser did not send the cookie that makes sure that you count once. Allow cookies for this site, then vote again.
detail-voter-changed = Somebody else has signed in since this page was loaded. Load the page again, then vote.
detail-too-slow = The request's body did not arrive in time.
detail-new-voters = Very many new voters came from your network within a short time.
detail-overloaded = Too many votes are arriving at once.
detail-not-stored = Votes cannot be stored right now.
detail-crowded = Very many people vote here for the first time just now.
form-waits = Very many people vote here for the first time just now. Keep this page open, and send your vote again from it.
line-is-full = Very many people vote here for the first time just now, and too many wait already. In a browser with scripts you do not have to wait.

## The screen for an audience, pictures of a result, and sharing

show-on-screen = Show on a screen
screen-controls = Controls of this screen
scan-to-vote = Scan the code to vote, or go to
qr-of-vote = QR code of the address where people vote
hide-figures = Hide the figures
show-figures = Show the figures
next-poll = Next poll
full-screen = Full screen
picture-as-of = As of { $moment }. Newer votes are not in this picture.
embedding-off = The operator of this site has named no other site that may show results in its pages.
share = Share
link-copied = The link is copied
