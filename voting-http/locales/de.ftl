# The texts of the voters' pages, in German. Voters are addressed as "Sie".

## The language

own-name = Deutsch

## Numbers, dates and lists

percent = { $share } %
date = { $day }. { $month } { $year }
moment = { $weekday }, { $date }, { $time } Uhr ({ $zone })
since-at = { $date }, { $time } UTC
sentences = { $one } { $two }
listed = { $one }, { $two }
quoted = „{ $text }“
monday = Montag
tuesday = Dienstag
wednesday = Mittwoch
thursday = Donnerstag
friday = Freitag
saturday = Samstag
sunday = Sonntag
january = Januar
february = Februar
march = März
april = April
may = Mai
june = Juni
july = Juli
august = August
september = September
october = Oktober
november = November
december = Dezember

## Every page

skip-to-content = Zum Inhalt
home = Startseite
languages = Sprache
this-poll = Diese Abstimmung
vote = Abstimmen
results = Ergebnis
see-results = Ergebnis ansehen
other-polls = Andere Abstimmungen
all-polls = Alle Abstimmungen
served-by = Beantwortet von

## The vote page: what is said of the poll

pick-of-two = Tippen Sie auf Ihre Wahl, um abzustimmen.
pick-one = Wählen Sie eine Antwort und senden Sie dann Ihre Stimme ab.
pick-several = Wählen Sie bis zu { $number } Antworten und senden Sie dann Ihre Stimme ab.
first-vote-counts = Ihre erste Stimme zählt.
voted-first-counts = Sie haben abgestimmt. Ihre erste Stimme zählt.
voted-of-two = Um Ihre Stimme zu ändern, wählen Sie die andere Antwort.
voted-one = Um Ihre Stimme zu ändern, wählen Sie eine andere Antwort und senden Sie noch einmal ab.
voted-several = Sie können andere Antworten wählen, bis zu { $number }, und noch einmal absenden.
voted-blank = Sie haben sich enthalten. Sie können immer noch für eine Antwort stimmen.
forgotten = In diesem Browser wurde schon abgestimmt. Wenn Sie jetzt abstimmen, ersetzt Ihre neue Stimme die frühere.
forgotten-first-counts = In diesem Browser wurde schon abgestimmt. Die erste Stimme zählt.
vote-until = Sie können bis { $at } abstimmen.
vote-and-change-until = Sie können bis { $at } abstimmen und Ihre Stimme ändern.
change-until = Sie können Ihre Stimme bis { $at } ändern.
change-until-closed = Sie können Ihre Stimme ändern, bis die Abstimmung endet.
change-until-with-cookie = Sie können Ihre Stimme bis { $at } ändern, wenn Sie das Cookie behalten, das mit dieser Antwort kam.
change-until-closed-with-cookie = Sie können Ihre Stimme ändern, bis die Abstimmung endet, wenn Sie das Cookie behalten, das mit dieser Antwort kam.
again-until = Sie können bis { $at } wieder abstimmen.
again-until-closed = Sie können wieder abstimmen, bis die Abstimmung endet.
closes-on = Ende der Abstimmung: { $at }.
not-open-yet = Noch nicht offen
opens-on = Beginn der Abstimmung: { $at }.
is-closed = Diese Abstimmung ist beendet
no-votes-no-changes = Stimmen können nicht mehr abgegeben oder geändert werden.
no-votes = Stimmen können nicht mehr abgegeben werden.

## The vote page: what is said of a vote

received = Angekommen. Wenn Sie schon abgestimmt hatten, zählt Ihre erste Stimme.
withdrawn = Sie haben Ihre Stimme zurückgenommen. Jetzt zählt keine Stimme von Ihnen.
vote-is-in = Ihre Stimme für { $label } ist angekommen.
blank-is-in = Ihre Enthaltung ist angekommen.
choices-are-in =
    { $number ->
        [one] Ihre Antwort ist angekommen.
       *[other] Ihre { $number } Antworten sind angekommen.
    }
confirmed = Ihre letzte bestätigte Stimme ist für { $label }.
confirmed-blank = Ihre letzte bestätigte Stimme ist eine Enthaltung.
confirmed-choices =
    { $number ->
        [one] Ihre letzte bestätigte Stimme hat { $number } Antwort.
       *[other] Ihre letzte bestätigte Stimme hat { $number } Antworten.
    }
not-shown = Ihre Stimme wird in diesem Browser nicht mehr angezeigt. Sie zählt weiterhin.
your-vote = Ihre Stimme
last-confirmed = Letzte bestätigte Stimme
received-word = Angekommen
change-to-this = Hierzu wechseln
change-vote = Stimme ändern
not-sent = Noch nicht gesendet

## The vote page: buttons and hints

or = oder
skip-options = Antworten überspringen
try-again = Noch einmal versuchen
dismiss = Schließen
about-blank = Sie können sich auch enthalten.
vote-blank = Enthaltung abgeben
about-withdraw = Sie können Ihre Stimme zurücknehmen. Dann zählt keine Stimme von Ihnen.
withdraw = Meine Stimme zurücknehmen
about-forget = Wer diesen Browser benutzt, sieht hier Ihre Stimme, bis der Browser geschlossen wird.
forget = Diese Stimme auf diesem Gerät vergessen
about-code-kept = Sie stimmen mit einem Code ab. Wer diesen Browser benutzt, kann damit abstimmen, bis der Browser geschlossen wird.
forget-code = Den Code auf diesem Gerät vergessen
about-session = Sie haben sich zum Abstimmen angemeldet. Wer diesen Browser benutzt, kann als Sie abstimmen, bis die Sitzung endet.
sign-out = Auf diesem Gerät abmelden

## Who could link a vote to a person

secrecy = Wer Ihre Stimme mit Ihnen verbinden könnte
secrecy-forgotten = Wer abgestimmt hat, ist vergessen: Es bleibt nur, wie viele Stimmen jede Auswahl hat.
secrecy-backups = Ältere Sicherungskopien und Protokolle können noch zeigen, wer wie abgestimmt hat, bis sie gelöscht werden.
secrecy-application = Ihre Stimme wird mit einer Nummer gespeichert, die Ihnen die Anwendung gegeben hat, bei der Sie sich angemeldet haben. Wer diese Seite betreibt und weiß, wessen Nummer das ist, könnte erfahren, wie Sie abgestimmt haben.
secrecy-code = Ihre Stimme wird ohne Ihren Namen gespeichert, mit einer Nummer, die aus Ihrem Code entsteht. Wer diese Seite betreibt und weiß, wer Ihren Code bekommen hat, könnte erfahren, wie Sie abgestimmt haben.
secrecy-login = Ihre Stimme wird mit einer Nummer gespeichert, die aus dem Namen entsteht, mit dem Sie sich angemeldet haben, aber ohne diesen Namen. Wer diese Seite betreibt und diesen Namen kennt, könnte erfahren, wie Sie abgestimmt haben.
secrecy-cookie = Ihre Stimme wird ohne Ihren Namen gespeichert, mit einer Nummer, die aus einem Cookie in Ihrem Browser entsteht. Wer diese Seite betreibt und an dieses Cookie kommt, könnte erfahren, wie Sie abgestimmt haben.
trust-cookie = Ihre Stimme wird ohne Ihren Namen gespeichert.
trust-code = Ihre Stimme wird ohne Ihren Namen gespeichert, unter einer Nummer, die aus Ihrem Code gebildet wird.
trust-login = Ihre Stimme wird ohne Ihren Namen gespeichert, unter einer Nummer, die aus Ihrer Anmeldung gebildet wird.
trust-application = Ihre Stimme wird unter einer Nummer gespeichert, die Ihnen die Anwendung gegeben hat, bei der Sie angemeldet sind.
forgotten-at-close = Wer abgestimmt hat, wird vergessen, wenn die Abstimmung endet. Ältere Sicherungskopien und Protokolle können es länger enthalten.
forgotten-after =
    { $number ->
        [one] Wer abgestimmt hat, wird { $number } Tag nach dem Ende der Abstimmung vergessen. Ältere Sicherungskopien und Protokolle können es länger enthalten.
       *[other] Wer abgestimmt hat, wird { $number } Tage nach dem Ende der Abstimmung vergessen. Ältere Sicherungskopien und Protokolle können es länger enthalten.
    }
deleted-at-close = Die Stimmen werden gelöscht, wenn die Abstimmung endet. Sicherungskopien und Protokolle können sie länger enthalten.
deleted-after =
    { $number ->
        [one] Die Stimmen werden { $number } Tag nach dem Ende der Abstimmung gelöscht. Sicherungskopien und Protokolle können sie länger enthalten.
       *[other] Die Stimmen werden { $number } Tage nach dem Ende der Abstimmung gelöscht. Sicherungskopien und Protokolle können sie länger enthalten.
    }
kept-for-good = Das bleibt so, solange es die Stimmen, ihre Sicherungskopien und Protokolle gibt, oder bis die Veranstalter vergessen lassen, wer abgestimmt hat.

## What the vote page's script says

sending = Wird gesendet …
until-sent = { $what }, bis Sie neu absenden
sent-not-confirmed = Gesendet, nicht bestätigt
count-not-sent = Noch nicht gesendet.
count-not-confirmed = Gesendet, aber nicht bestätigt.
count-last-confirmed = Das ist Ihre letzte bestätigte Stimme.
count-yours = Das ist Ihre Stimme.
chosen-of = { $number } von { $max } gewählt.
is-the-most = Mehr als { $number } geht nicht. Nehmen Sie zuerst eine Antwort zurück.
choose-one = Wählen Sie mindestens eine Antwort.
pick-first = Wählen Sie zuerst eine Antwort.
opens-in = Beginnt in { $time }.
closes-in = Endet in { $time }.
days =
    { $number ->
        [one] { $number } Tag
       *[other] { $number } Tagen
    }
hours =
    { $number ->
        [one] { $number } Stunde
       *[other] { $number } Stunden
    }
minutes =
    { $number ->
        [one] { $number } Minute
       *[other] { $number } Minuten
    }
seconds =
    { $number ->
        [one] { $number } Sekunde
       *[other] { $number } Sekunden
    }
time-parts = { $one } { $two }
unknown = Wir wissen nicht, ob Ihre Stimme angekommen ist. Sie können es gefahrlos noch einmal versuchen: Sie zählt nur einmal.
unknown-before = Wir wissen nicht, ob Ihr letzter Versuch angekommen ist. Sie können es gefahrlos noch einmal versuchen: Ihre Stimme zählt nur einmal.
unknown-earlier = Wir wissen nicht, ob ein früherer Versuch angekommen ist.
unknown-with-cookie = Wir wissen nicht, ob Ihre Stimme angekommen ist. Sie können es gefahrlos noch einmal versuchen: Sie zählt nur einmal, wenn Sie das Cookie behalten, das mit dieser Antwort kam.
offline = Sie sind offline. Wir wissen nicht, ob Ihre Stimme angekommen ist. Sie wird noch einmal gesendet, wenn Sie online sind, und zählt nur einmal.
online-again = Sie sind wieder online. Ihre Stimme wird noch einmal gesendet …
kept = Wir wissen nicht, ob Ihre Stimme angekommen ist. Sie wird von selbst noch einmal gesendet und zählt nur einmal.
do-not-send = Nicht senden
sent-again = Ihre Stimme wird noch einmal gesendet …
not-sent-again = Ihre Stimme wurde nicht noch einmal gesendet.
cookies-blocked = Ihr Browser behält das Cookie nicht, mit dem Ihre Stimme nur einmal zählt. Erlauben Sie Cookies für diese Seite und stimmen Sie dann ab.
cookie-unreadable = Das Cookie Ihres Browsers sagt nicht, wer Sie sind.
cookie-lost = Dieser Browser hat das Cookie Ihrer Stimme verloren. Die Stimme zählt weiterhin. Wenn Sie jetzt abstimmen, ist das eine weitere Stimme.
vote-as-new = Trotzdem neu abstimmen
start-over = Neu beginnen
closed-before = Die Abstimmung war zu Ende, bevor Ihre Stimme ankam. Sie wurde nicht gezählt.
earlier-counts = Die vorher bestätigte Stimme zählt.
not-counted = Ihre Stimme wurde nicht gezählt.
again-in-seconds =
    { $number ->
        [one] Bitte versuchen Sie es in { $number } Sekunde noch einmal.
       *[other] Bitte versuchen Sie es in { $number } Sekunden noch einmal.
    }
again-soon = Bitte versuchen Sie es gleich noch einmal.
texts-changed = Die Texte dieser Abstimmung wurden geändert. Bitte lesen Sie sie noch einmal.
open-now = Die Abstimmung ist jetzt offen.
closed-now = Die Abstimmung ist beendet.
unsent-not-counted = Was Sie nicht abgesendet hatten, zählt nicht.
proving = Gerade stimmen hier sehr viele Menschen ab. Ihre Stimme wird gleich gesendet.
crowded = Gerade stimmen hier sehr viele Menschen ab. Bitte versuchen Sie es noch einmal.

## The result page

results-of = Ergebnis: { $title }
result = Ergebnis
vote-now = Jetzt abstimmen
live = Live
reconnecting = Verbindung wird hergestellt
polled = Alle 5 Sekunden neu
stalled-since = Nicht aktualisiert seit { $since }
final-word = Endgültig
stop-reading = Änderungen nicht mehr vorlesen
start-reading = Änderungen vorlesen
shares-of-voters =
    { $number ->
        [one] Jeder Anteil bezieht sich auf alle, die abgestimmt haben, bis zu { $whole }. Jede Person konnte { $number } Antwort wählen.
       *[other] Jeder Anteil bezieht sich auf alle, die abgestimmt haben. Jede Person konnte bis zu { $number } Antworten wählen, also können die Anteile zusammen mehr als { $whole } ergeben.
    }
voters =
    { $number ->
        [one] { $number } Person hat abgestimmt
       *[other] { $number } Personen haben abgestimmt
    }
voters-and-blank =
    { $number ->
        [one] { $voters }, davon { $number } Enthaltung ({ $share })
       *[other] { $voters }, davon { $number } Enthaltungen ({ $share })
    }
votes =
    { $number ->
        [one] { $number } Stimme
       *[other] { $number } Stimmen
    }
not-begun = Die Abstimmung hat noch nicht begonnen.
voting-is-open = Die Abstimmung läuft.
voting-has-ended = Die Abstimmung ist beendet. Die letzten Stimmen werden gezählt.
closed-without-votes = Die Abstimmung endete ohne Stimmen.
wins = { $label } gewinnt mit { $votes } von { $voters }.
tie = Gleichstand: { $labels } haben je { $votes } von { $voters }.
tie-of =
    { $number ->
        [one] Gleichstand: { $number } Antworten haben je { $votes } von { $voters }.
       *[other] Gleichstand: { $number } Antworten haben je { $votes } von { $voters }.
    }
only-blank = Alle haben sich enthalten: keine Antwort hat gewonnen.
voted-of =
    { $number ->
        [one] { $number } von { $electorate } hat abgestimmt ({ $share })
       *[other] { $number } von { $electorate } haben abgestimmt ({ $share })
    }
order-of-options = Reihenfolge der Antworten
by-votes = Meiste Stimmen zuerst
by-poll = Wie auf dem Stimmzettel
show-all =
    { $number ->
        [one] Alle { $number } Antworten zeigen
       *[other] Alle { $number } Antworten zeigen
    }
find-option = Antwort suchen
find = Suchen
no-option-found = Keine Antwort hat diesen Text.
votes-over-time = Stimmen im Zeitverlauf
numbers-of-chart = Die Zahlen dieses Diagramms
time-word = Zeit
voters-word = Abstimmende
span-of-time = { $begin } bis { $end } ({ $zone })
no-votes-yet = Noch keine Stimmen.
most-votes = Meiste Stimmen
leading = Vorn
tied = Gleichauf
place = { $label } { $share }
announcement = { $total }. { $places }.
only-the-host = Das Ergebnis sehen nur die Veranstalter dieser Abstimmung.
then-shown = Die Abstimmung ist beendet. Die letzten Stimmen werden gezählt. Danach wird das Ergebnis gezeigt.
shown-after-vote = Wer abgestimmt hat, sieht das Ergebnis. Alle anderen sehen es, wenn die Abstimmung beendet ist.
shown-after-close = Das Ergebnis wird gezeigt, wenn die Abstimmung beendet ist.
it-closes-on = Ende der Abstimmung: { $at }.
turnout-since = { $turnout }, nicht aktualisiert seit { $since }
count-out-of-date = Die Zählung kann gerade nicht gelesen werden, deshalb ist dies vielleicht nicht aktuell.
go-to-poll = Zur Abstimmung
i-have-voted = Ich habe abgestimmt

## The list of polls

no-poll-yet = Hier gibt es noch keine Abstimmung.
search = Suchen
search-polls = Abstimmungen nach Titel suchen
all-again = Alle Abstimmungen zeigen
nothing-found = Keine Abstimmung hat { $query } im Titel.
found =
    { $number ->
        [one] { $number } Abstimmung hat { $query } im Titel.
       *[other] { $number } Abstimmungen haben { $query } im Titel.
    }
all-open =
    { $number ->
        [one] { $number } Abstimmung, sie ist offen.
       *[other] { $number } Abstimmungen, alle sind offen.
    }
none-open =
    { $number ->
        [one] { $number } Abstimmung, sie ist nicht offen.
       *[other] { $number } Abstimmungen, keine ist offen.
    }
some-open =
    { $number ->
        [one] { $number } Abstimmung, davon offen: { $open }.
       *[other] { $number } Abstimmungen, davon offen: { $open }.
    }
draft = Entwurf
open = Offen
being-counted = Wird ausgezählt
closed = Beendet
pages-of-list = Seiten dieser Liste
previous-page = Vorige Seite
next-page = Nächste Seite
page-of = Seite { $page } von { $pages }

## What search engines and messengers show

preview-scheduled = Diese Abstimmung ist noch nicht offen. Die Antworten sind
preview-one =
    { $number ->
        [one] Stimmen Sie für { $number } Antwort
       *[other] Stimmen Sie für eine von { $number } Antworten
    }
preview-several =
    { $number ->
        [one] Stimmen Sie für bis zu { $max } von { $number } Antwort
       *[other] Stimmen Sie für bis zu { $max } von { $number } Antworten
    }
preview-closed = Diese Abstimmung ist beendet. Die Antworten waren
preview-hidden = Das Ergebnis dieser Abstimmung wird hier noch nicht gezeigt
preview-live = Sehen Sie zu, wie das Ergebnis entsteht
preview-result = Das Ergebnis einer Abstimmung
preview-list = Die offenen und die beendeten Abstimmungen.
preview-options = { $begin }: { $options }.
preview-cut = { $begin }: { $options }, …
preview-bare = { $begin }.

## Codes and sign-in

other-code = Dieser Browser verwendet einen anderen Code dieser Abstimmung. Jeder Code hat eine Stimme. Wenn Sie fortfahren, stimmt dieser Browser mit dem neuen Code ab; eine Stimme mit dem anderen Code bleibt, wie sie ist.
use-new-code = Neuen Code verwenden
keep-other-code = Den anderen Code behalten
enter-code = Geben Sie Ihren Code ein, um hier abzustimmen.
your-code = Ihr Code
go-on = Weiter
about-letters = Kleine Buchstaben und Leerzeichen machen keinen Unterschied. O gilt als 0, I und L gelten als 1.
sign-in = Anmelden
sign-in-needed = Melden Sie sich an, um hier abzustimmen.
sign-in-again = Es war nicht zu erkennen, wer Sie sind. Melden Sie sich noch einmal an.
other-people = Sie sind angemeldet, aber diese Abstimmung ist für andere gedacht: Sie verlangt eine Gruppe oder eine E-Mail-Domain, die Sie nicht haben.
code-needed = Für diese Abstimmung brauchen Sie einen Code. Er steht im Brief oder in der Nachricht mit der Einladung.
code-unreadable = Das Cookie mit Ihrem Code ist beschädigt oder nicht von hier. Geben Sie Ihren Code noch einmal ein.
code-wrong = Das ist kein Code dieser Abstimmung. Vergleichen Sie ihn mit dem, den Sie bekommen haben.
code-replaced = Dieser Code wurde durch einen anderen ersetzt. Verwenden Sie den neueren.
code-revoked = Dieser Code gilt nicht mehr. Fragen Sie, von wem Sie ihn bekommen haben.
too-many-codes = Das ist kein Code dieser Abstimmung, und es wurden zu viele falsche versucht. Vergleichen Sie ihn mit dem, den Sie bekommen haben, und warten Sie einen Moment. Ein richtiger Code wird immer angenommen.

## A cookie that cannot be read

cookie-damaged = Das Cookie Ihres Browsers für diese Seite sagt nicht, wer Sie sind. Es ist beschädigt oder nicht von dieser Seite.
cookie-outdated = Das Cookie Ihres Browsers für diese Seite ist von einer älteren Art, die diese Seite nicht mehr annimmt.
several-cookies = Ihr Browser hat mehrere Cookies gesendet, die sagen sollen, wer abstimmt, und sie unterscheiden sich. Löschen Sie in Ihrem Browser die Cookies dieser Seite und der übergeordneten Domain und öffnen Sie diese Seite dann noch einmal.
about-start-over = Wir wissen nicht, ob Sie schon abgestimmt haben. Wenn Sie neu beginnen, zählt eine frühere Stimme von Ihnen weiterhin, und Sie können sie nicht mehr ändern.
start-over-as-new = Neu beginnen

## The receipt of a vote

about-your-vote = Ihre Stimme: Quittung und mehr
your-receipt = Ihre Quittung
about-receipt = Mit diesem Code können Sie prüfen, ob Ihre Stimme zählt, bis vergessen wird, wer abgestimmt hat. Er zeigt nicht, was Sie gewählt haben.
keep-receipt-private = Wer den Code hat, kann das auch prüfen. Behalten Sie ihn deshalb für sich.
keep-as-file = Als Datei aufbewahren
check-vote = Meine Stimme prüfen
check-another = Eine andere Quittung prüfen
about-check = Geben Sie den Code Ihrer Quittung ein. Dann sehen Sie, was aus Ihrer Stimme geworden ist. Was Sie gewählt haben, wird nicht gezeigt.
receipt-code = Code der Quittung
receipt-wrong = Das ist kein Code einer Quittung von hier. Vergleichen Sie ihn mit dem, den Sie aufbewahrt haben.
receipt-pending = Ihre Stimme ist angekommen. Sie wartet darauf, gezählt zu werden.
receipt-counted = Ihre Stimme ist da: Von Ihren Stimmen ist sie die, die zählt.
receipt-superseded = Eine neuere Stimme von Ihnen hat sie ersetzt.
receipt-first-counts = In dieser Abstimmung zählt die erste Stimme, und es gibt eine frühere von Ihnen.
receipt-voided = Wer die Abstimmung leitet, hat diese Stimme für ungültig erklärt. Sie zählt nicht.
receipt-rejected = Diese Stimme wurde nicht gezählt.
receipt-forgotten = Wer abgestimmt hat, ist vergessen. Niemand kann mehr sagen, welche Stimme Ihre war.
receipt-deleted = Diese Abstimmung ist gelöscht, mit allen Stimmen.
reason-unreadable = Sie konnte nicht gelesen oder nicht gespeichert werden. Fragen Sie, wer die Abstimmung leitet.
reason-unknown-poll = Als Ihre Stimme ankam, war die Abstimmung hier nicht bekannt.
reason-not-valid = Sie war in dieser Abstimmung nicht gültig.
reason-closed = Sie kam, nachdem die Abstimmung geschlossen war.
reason-outside-times = Sie kam, bevor die Abstimmung offen war oder nachdem sie geschlossen war.
reason-not-eligible = Die Regeln dieser Abstimmung lassen sie nicht zu.
cast-in-minute = Abgegeben am { $at }.

## Failures

back-to-poll = Zurück zur Abstimmung
see-all-polls = Alle Abstimmungen
error-code = Fehler { $code }
title-internal = Da ist etwas schiefgegangen
title-not-found = Hier gibt es nichts
title-request = Das hat nicht geklappt
title-unknown-poll = Diese Abstimmung gibt es nicht
title-no-polls = Noch keine Abstimmung
title-poll-closed = Diese Abstimmung ist beendet
title-poll-not-open = Diese Abstimmung ist noch nicht offen
title-poll-changed = Diese Abstimmung wurde geändert
title-result-hidden = Das Ergebnis wird nicht gezeigt
title-invalid-choice = So kann man hier nicht abstimmen
title-not-taken = Die Stimme wurde nicht angenommen
title-not-confirmed = Die Stimme ist nicht bestätigt
title-cookie-unreadable = Ihr Cookie kann nicht gelesen werden
title-several-cookies = Es gibt mehrere Cookies
title-cookie-outdated = Ihr Cookie ist zu alt
title-cookies-needed = Zum Abstimmen braucht es Cookies
title-foreign-secret = Dieser Server nimmt keine Stimmen an
title-not-possible = Das ist hier noch nicht möglich
title-sign-in-needed = Bitte anmelden
title-not-eligible = Diese Stimme kann nicht angenommen werden
title-code-needed = Sie brauchen einen Code
title-invalid-code = Dieser Code gilt nicht
title-too-many-codes = Zu viele falsche Codes
title-voter-changed = Jemand anderes ist angemeldet
title-cross-site = Von einer anderen Seite gesendet
title-too-slow = Das hat zu lange gedauert
title-store = Diese Seite kann gerade nicht gezeigt werden
title-new-voters = Zu viele neue Stimmen aus Ihrem Netz
title-crowded = Zu viele neue Stimmen in dieser Abstimmung
detail-internal = Das ist ein Fehler des Dienstes. Er wurde protokolliert.
detail-not-found = Unter dieser Adresse gibt es nichts.
detail-unknown-poll = Unter dieser Adresse gibt es keine Abstimmung.
detail-poll-closed = Diese Abstimmung ist beendet und nimmt keine Stimmen mehr an. Eine vorher bestätigte Stimme zählt.
detail-not-open = Diese Abstimmung ist noch nicht offen. Ihre Stimme wurde nicht gespeichert.
detail-changed = Diese Abstimmung wurde gerade geändert. Ihre Stimme wurde nicht gespeichert. Sehen Sie sich die Abstimmung noch einmal an und stimmen Sie dann ab.
detail-nothing-chosen = Es wurde keine Antwort gewählt.
detail-no-withdrawal = In dieser Abstimmung zählt die erste Stimme, deshalb kann man sie nicht zurücknehmen.
detail-too-many =
    { $number ->
        [one] Es wurde { $number } Antwort gewählt, erlaubt sind { $max }.
       *[other] Es wurden { $number } Antworten gewählt, erlaubt sind { $max }.
    }
detail-cross-site = Eine Stimme kann nur von der Seite dieser Abstimmung gesendet werden.
detail-cross-site-form = Dieses Formular kann nur von dieser Seite selbst gesendet werden.
detail-not-possible = Enthaltungen und das Zurücknehmen einer Stimme sind hier noch nicht möglich: Die Einträge des Logs sind nicht signiert.
detail-foreign-secret = Dieser Server ist mit einem anderen Geheimnis eingerichtet als die übrigen und nimmt deshalb keine Stimmen an.
detail-cookies-needed = Ihr Browser hat das Cookie nicht gesendet, mit dem Ihre Stimme nur einmal zählt. Erlauben Sie Cookies für diese Seite und stimmen Sie dann noch einmal ab.
detail-voter-changed = Seit diese Seite geladen wurde, hat sich jemand anderes angemeldet. Laden Sie die Seite neu und stimmen Sie dann ab.
detail-too-slow = Die Daten kamen nicht rechtzeitig an.
detail-new-voters = Aus Ihrem Netz kamen in kurzer Zeit sehr viele neue Stimmen.
detail-overloaded = Gerade kommen zu viele Stimmen auf einmal.
detail-not-stored = Stimmen können gerade nicht gespeichert werden.
detail-crowded = Gerade stimmen hier sehr viele Menschen zum ersten Mal ab.
form-waits = Gerade stimmen hier sehr viele Menschen zum ersten Mal ab. Lassen Sie diese Seite offen und senden Sie Ihre Stimme von hier aus noch einmal ab.
line-is-full = Gerade stimmen hier sehr viele Menschen zum ersten Mal ab, und zu viele warten schon. In einem Browser mit Skripten müssen Sie nicht warten.

## Die Leinwand für ein Publikum, Bilder eines Ergebnisses und das Teilen

show-on-screen = Auf einer Leinwand zeigen
screen-controls = Bedienung dieser Leinwand
scan-to-vote = Zum Abstimmen den Code scannen oder diese Adresse öffnen:
qr-of-vote = QR-Code der Adresse, unter der abgestimmt wird
hide-figures = Zahlen verbergen
show-figures = Zahlen zeigen
next-poll = Nächste Abstimmung
full-screen = Vollbild
picture-as-of = Stand: { $moment }. Neuere Stimmen sind nicht in diesem Bild.
embedding-off = Der Betreiber dieser Seite hat keine andere Website genannt, die Ergebnisse in ihren Seiten zeigen darf.
share = Teilen
link-copied = Der Link ist kopiert
