# The texts of the voters' pages, in Japanese, in the polite form.

## The language

own-name = 日本語

## Numbers, dates and lists

percent = { $share }%
date = { $year }年{ $month }{ $day }日
moment = { $date }（{ $weekday }）{ $time }（{ $zone }）
since-at = { $date }{ $time } UTC
sentences = { $one }{ $two }
listed = { $one }、{ $two }
quoted = 「{ $text }」
monday = 月
tuesday = 火
wednesday = 水
thursday = 木
friday = 金
saturday = 土
sunday = 日
january = 1月
february = 2月
march = 3月
april = 4月
may = 5月
june = 6月
july = 7月
august = 8月
september = 9月
october = 10月
november = 11月
december = 12月

## Every page

skip-to-content = 本文へ移動
home = ホーム
languages = 言語
this-poll = この投票
vote = 投票する
results = 結果
see-results = 結果を見る
other-polls = ほかの投票
all-polls = すべての投票
served-by = 応答サーバー

## The vote page: what is said of the poll

pick-of-two = どちらかを選ぶと投票できます。
pick-one = 1つ選んで、投票を送信してください。
pick-several = { $number }個まで選んで、投票を送信してください。
first-vote-counts = 最初の1票が有効です。
voted-first-counts = 投票済みです。最初の1票が有効です。
voted-of-two = 変更するには、もう一方を選んでください。
voted-one = 変更するには、別のものを選んでもう一度送信してください。
voted-several = 選び直して（{ $number }個まで）、もう一度送信できます。
voted-blank = 白票を投じました。まだ選択肢に投票できます。
forgotten = このブラウザーから投票がありました。いま投票すると、前の票と置き換わります。
forgotten-first-counts = このブラウザーから投票がありました。最初の1票が有効です。
vote-until = { $at }まで投票できます。
vote-and-change-until = { $at }まで投票と変更ができます。
change-until = { $at }まで投票を変更できます。
change-until-closed = 締め切りまで投票を変更できます。
change-until-with-cookie = この応答に付いているCookieを保存していれば、{ $at }まで投票を変更できます。
change-until-closed-with-cookie = この応答に付いているCookieを保存していれば、締め切りまで投票を変更できます。
again-until = { $at }まで投票し直せます。
again-until-closed = 締め切りまで投票し直せます。
closes-on = 締め切りは{ $at }です。
not-open-yet = 開始前
opens-on = この投票は{ $at }に始まります。
is-closed = 締め切りました
no-votes-no-changes = 投票や変更はもうできません。
no-votes = 投票はもうできません。

## The vote page: what is said of a vote

received = 受け付けました。以前に投票していた場合は、最初の1票が有効です。
withdrawn = 投票を取り消しました。いま有効なあなたの票はありません。
vote-is-in = { $label } への投票を受け付けました。
blank-is-in = 白票を受け付けました。
choices-are-in = { $number }個の選択を受け付けました。
confirmed = 最後に確認された投票は { $label } です。
confirmed-blank = 最後に確認された投票は白票です。
confirmed-choices = 最後に確認された投票では、{ $number }個を選んでいます。
not-shown = このブラウザーには、あなたの投票をもう表示しません。票は有効なままです。
your-vote = あなたの投票
last-confirmed = 最後に確認された投票
received-word = 受付済み
change-to-this = これに変更
change-vote = 投票を変更
not-sent = まだ送信していません

## The vote page: buttons and hints

or = または
skip-options = 選択肢を飛ばす
try-again = もう一度試す
dismiss = 閉じる
about-blank = どの選択肢も選ばずに投票することもできます。
vote-blank = 白票を投じる
about-withdraw = 投票を取り消せます。取り消すと、あなたの票は数えられません。
withdraw = 投票を取り消す
about-forget = ブラウザーを閉じるまで、このブラウザーを使う人には、あなたの投票がここに見えます。
forget = この端末で投票を表示しない
about-code-kept = コードを使って投票しています。ブラウザーを閉じるまで、このブラウザーを使う人はそのコードで投票できます。
forget-code = この端末からコードを消す
about-session = 投票するためにログインしています。ログインが終わるまで、このブラウザーを使う人はあなたとして投票できます。
sign-out = この端末でログアウト

## Who could link a vote to a person

secrecy = 投票とあなたを結び付けられるのは誰か
secrecy-forgotten = この投票では、誰が投票したかの記録は消去されました。残っているのは選択ごとの票数だけです。
secrecy-backups = それ以前のバックアップやログには、削除されるまで、誰がどう投票したかが残っていることがあります。
secrecy-application = 投票は、ログインしたアプリケーションがあなたに付けた番号とともに保存されます。このサイトの運営者が、その番号が誰のものかを知っていれば、どう投票したかを知ることができます。
secrecy-code = 投票は、名前なしで、あなたのコードから作られた番号とともに保存されます。このサイトの運営者が、コードを誰に渡したかを知っていれば、どう投票したかを知ることができます。
secrecy-login = 投票は、ログインした名前から作られた番号とともに保存され、名前そのものは保存されません。このサイトの運営者が、その名前を知っていれば、どう投票したかを知ることができます。
secrecy-cookie = 投票は、名前なしで、ブラウザーのCookieから作られた番号とともに保存されます。このサイトの運営者が、そのCookieを手に入れれば、どう投票したかを知ることができます。
trust-cookie = あなたの投票は、名前なしで保存されます。
trust-code = あなたの投票は名前なしで、コードから作られた番号で保存されます。
trust-login = あなたの投票は名前なしで、サインインの情報から作られた番号で保存されます。
trust-application = あなたの投票は、サインインしたアプリケーションが付けた番号で保存されます。
forgotten-at-close = 投票が締め切られると、誰が投票したかの記録は消去されます。それ以前のバックアップやログには、より長く残ることがあります。
forgotten-after = 締め切りの{ $number }日後に、誰が投票したかの記録は消去されます。それ以前のバックアップやログには、より長く残ることがあります。
deleted-at-close = 投票が締め切られると、票は削除されます。バックアップやログには、より長く残ることがあります。
deleted-after = 票は締め切りの{ $number }日後に削除されます。バックアップやログには、より長く残ることがあります。
kept-for-good = これは、票やそのバックアップ、ログが残っている間、または主催者が誰が投票したかの記録を消去するまで続きます。

## What the vote page's script says

sending = 送信中…
until-sent = { $what }（送信するまで）
sent-not-confirmed = 送信済み・未確認
count-not-sent = まだ送信していません。
count-not-confirmed = 送信しましたが、確認できていません。
count-last-confirmed = これが最後に確認された投票です。
count-yours = これがあなたの投票です。
chosen-of = { $max }個中{ $number }個を選びました。
is-the-most = 選べるのは{ $number }個までです。先に1つ外してください。
choose-one = 1つ以上選んでください。
pick-first = 先に1つ選んでください。
opens-in = 開始まで{ $time }。
closes-in = 締め切りまで{ $time }。
days = { $number }日
hours = { $number }時間
minutes = { $number }分
seconds = { $number }秒
time-parts = { $one }{ $two }
unknown = 投票が届いたかどうか分かりません。もう一度送っても、数えられるのは1票だけなので安心です。
unknown-before = 前回の送信が届いたかどうか分かりません。もう一度送っても、数えられるのは1票だけなので安心です。
unknown-earlier = 以前の送信が届いたかどうか分かりません。
unknown-with-cookie = 投票が届いたかどうか分かりません。この応答に付いているCookieを保存していれば、もう一度送っても、数えられるのは1票だけなので安心です。
offline = オフラインです。投票が届いたかどうか分かりません。オンラインになると、もう一度送信します。数えられるのは1票だけです。
online-again = オンラインに戻りました。投票をもう一度送信しています…
kept = 投票が届いたかどうか分かりません。自動でもう一度送信します。数えられるのは1票だけです。
do-not-send = 送信しない
sent-again = 投票をもう一度送信しています…
not-sent-again = 投票は再送信されませんでした。
cookies-blocked = 1人1票を守るためのCookieが、ブラウザーに保存されません。このサイトのCookieを許可してから投票してください。
cookie-unreadable = ブラウザーのCookieからは、あなたが誰か分かりません。
cookie-lost = このブラウザーから、投票のCookieがなくなりました。前の票は有効なままです。いま投票すると、新しい投票者としての投票になります。
vote-as-new = 新しい投票者として投票する
start-over = やり直す
closed-before = 投票が届く前に締め切られました。数えられていません。
earlier-counts = 前に確認された票が有効です。
not-counted = 投票は数えられていません。
again-in-seconds = { $number }秒後にもう一度お試しください。
again-soon = しばらくしてからもう一度お試しください。
texts-changed = この投票の文面が変わりました。もう一度お読みください。
open-now = 投票が始まりました。
closed-now = この投票は締め切られました。
unsent-not-counted = 送信していない選択は数えられません。
proving = 現在、たいへん多くの方が投票しています。まもなく送信されます。
crowded = 現在、たいへん多くの方が投票しています。もう一度お試しください。

## The result page

results-of = 結果：{ $title }
result = 結果
vote-now = いま投票する
live = ライブ
reconnecting = 再接続中
polled = 5秒ごとに更新
stalled-since = { $since }から更新されていません
final-word = 確定
stop-reading = 変化の読み上げを止める
start-reading = 変化を読み上げる
shares-of-voters = 割合は投票者数に対するものです。1人{ $number }個まで選べるため、合計が{ $whole }を超えることがあります。
voters = 投票者{ $number }人
voters-and-blank = { $voters }、うち白票{ $number }票（{ $share }）
votes = { $number }票
not-begun = 投票はまだ始まっていません。
voting-is-open = 投票受付中です。
voting-has-ended = 投票は終わりました。最後の票を数えています。
closed-without-votes = この投票は、票がないまま締め切られました。
wins = { $label }が{ $voters }人中{ $votes }票で1位です。
tie = 同数です：{ $labels }がそれぞれ{ $voters }人中{ $votes }票です。
tie-of = 同数です：{ $number }個の選択肢がそれぞれ{ $voters }人中{ $votes }票です。
only-blank = すべて白票でした。1位の選択肢はありません。
voted-of = { $electorate }人中{ $number }人が投票（{ $share }）
order-of-options = 選択肢の並び順
by-votes = 票の多い順
by-poll = 投票用紙の順
show-all = { $number }個の選択肢をすべて表示
find-option = 選択肢を探す
find = 探す
no-option-found = この文字を含む選択肢はありません。
votes-over-time = 票の推移
numbers-of-chart = このグラフの数値
time-word = 時刻
voters-word = 投票者
span-of-time = { $begin }～{ $end }（{ $zone }）
no-votes-yet = まだ票がありません。
most-votes = 最多
leading = リード中
tied = 同数
place = { $label } { $share }
announcement = { $total }。{ $places }。
only-the-host = 結果を見られるのは主催者だけです。
then-shown = 投票は終わりました。最後の票を数えています。その後、結果を表示します。
shown-after-vote = 結果は投票した人に表示されます。締め切り後は誰でも見られます。
shown-after-close = 結果は締め切り後に表示されます。
it-closes-on = 締め切りは{ $at }です。
turnout-since = { $turnout }（{ $since }から更新されていません）
count-out-of-date = いま集計を読み取れないため、最新でない可能性があります。
go-to-poll = 投票ページへ
i-have-voted = 投票しました

## The list of polls

no-poll-yet = ここにはまだ投票がありません。
search = 検索
search-polls = タイトルで投票を検索
all-again = すべての投票を表示
nothing-found = タイトルに{ $query }を含む投票はありません。
found = タイトルに{ $query }を含む投票：{ $number }件
all-open = { $number }件の投票、すべて受付中です。
none-open = { $number }件の投票、受付中のものはありません。
some-open = { $number }件の投票、うち{ $open }件が受付中です。
draft = 下書き
open = 受付中
being-counted = 集計中
closed = 終了
pages-of-list = 一覧のページ
previous-page = 前のページ
next-page = 次のページ
page-of = { $pages }ページ中{ $page }ページ目

## What search engines and messengers show

preview-scheduled = この投票はまだ始まっていません。選択肢
preview-one = { $number }個の選択肢から1つに投票
preview-several = { $number }個の選択肢から{ $max }個まで投票
preview-closed = この投票は締め切られました。選択肢
preview-hidden = この投票の結果はまだここに表示されません
preview-live = 結果の推移をご覧ください
preview-result = 投票の結果
preview-list = 受付中の投票と終了した投票です。
preview-options = { $begin }：{ $options }。
preview-cut = { $begin }：{ $options }、…
preview-bare = { $begin }。

## Codes and sign-in

other-code = このブラウザーでは、この投票の別のコードを使っています。1つのコードにつき1票です。続けると、このブラウザーは新しいコードで投票します。別のコードでの票はそのまま残ります。
use-new-code = 新しいコードを使う
keep-other-code = 別のコードのままにする
enter-code = この投票に参加するには、コードを入力してください。
your-code = あなたのコード
go-on = 次へ
about-letters = 小文字や空白があってもかまいません。Oは0、IとLは1として読み取ります。
sign-in = ログイン
sign-in-needed = 投票するにはログインしてください。
sign-in-again = 誰からの要求か読み取れませんでした。もう一度ログインしてください。
other-people = ログインしていますが、この投票は別の方が対象です。必要なグループまたはメールのドメインがありません。
code-needed = この投票にはコードが必要です。招待の手紙またはメッセージに書かれています。
code-unreadable = コードのCookieが壊れているか、このサイトのものではありません。もう一度コードを入力してください。
code-wrong = この投票のコードではありません。受け取ったコードと見比べてください。
code-replaced = このコードは別のコードに置き換えられました。新しいほうを使ってください。
code-revoked = このコードはもう使えません。コードを渡した人にお問い合わせください。
too-many-codes = この投票のコードではありません。誤ったコードが多すぎます。受け取ったコードと見比べて、少しお待ちください。正しいコードはいつでも使えます。

## A cookie that cannot be read

cookie-damaged = このサイトのCookieからは、あなたが誰か分かりません。壊れているか、このサイトのものではありません。
cookie-outdated = このサイトのCookieは、もう使われていない古い種類のものです。
several-cookies = 投票者を示すCookieが複数送られ、内容が異なります。ブラウザーでこのサイトと上位サイトのCookieを削除してから、このページをもう一度開いてください。
about-start-over = 以前に投票したかどうか分かりません。やり直すと新しい投票者になります。以前の票は有効なまま残り、変更できなくなります。
start-over-as-new = 新しい投票者としてやり直す

## The receipt of a vote

about-your-vote = あなたの投票：控えなど
your-receipt = 投票の控え
about-receipt = このコードで、あなたの票が数えられるかどうかを確かめられます（誰が投票したかの記録が消去されるまで）。選んだ内容は表示されません。
keep-receipt-private = コードを持つ人は誰でも確かめられます。ほかの人に見せないでください。
keep-as-file = ファイルとして保存
check-vote = 自分の投票を確かめる
check-another = 別の控えを確かめる
about-check = 控えのコードを入力すると、投票がどうなったか分かります。選んだ内容は表示されません。
receipt-code = 控えのコード
receipt-wrong = これはこのサイトの控えのコードではありません。保存したものと見比べてください。
receipt-pending = 投票は届いています。集計を待っています。
receipt-counted = 投票は受け付けられています。あなたの票のうち、数えられるのはこの票です。
receipt-superseded = あなたの新しい票に置き換えられました。
receipt-first-counts = この投票では最初の票が有効で、あなたの前の票があります。
receipt-voided = 主催者がこの票を無効にしました。数えられません。
receipt-rejected = この票は数えられませんでした。
receipt-forgotten = この投票では、誰が投票したかの記録は消去されました。どれがあなたの票だったかは、もう誰にも分かりません。
receipt-deleted = この投票は、すべての票とともに削除されました。
reason-unreadable = 読み取れなかったか、保存できませんでした。主催者に問い合わせてください。
reason-unknown-poll = 届いたとき、この投票はここにありませんでした。
reason-not-valid = この投票では有効な票ではありませんでした。
reason-closed = 締め切り後に届きました。
reason-outside-times = 開始前、または締め切り後に届きました。
reason-not-eligible = この投票の規則では認められません。
cast-in-minute = 投票日時：{ $at }

## Failures

back-to-poll = 投票ページに戻る
see-all-polls = すべての投票を見る
error-code = エラー { $code }
title-internal = 問題が発生しました
title-not-found = ここには何もありません
title-request = 要求を処理できませんでした
title-unknown-poll = この投票はありません
title-no-polls = まだ投票がありません
title-poll-closed = この投票は締め切られました
title-poll-not-open = この投票はまだ始まっていません
title-poll-changed = この投票は変更されました
title-result-hidden = 結果は表示されません
title-invalid-choice = この内容では投票できません
title-not-taken = 投票を受け付けられませんでした
title-not-confirmed = 投票を確認できていません
title-cookie-unreadable = Cookieを読み取れません
title-several-cookies = Cookieが複数あります
title-cookie-outdated = Cookieが古すぎます
title-cookies-needed = 投票にはCookieが必要です
title-foreign-secret = このサーバーでは投票できません
title-not-possible = ここではまだできません
title-sign-in-needed = ログインしてください
title-not-eligible = この投票は受け付けられません
title-code-needed = コードが必要です
title-invalid-code = このコードは使えません
title-too-many-codes = 誤ったコードが多すぎます
title-voter-changed = 別の方がログインしています
title-cross-site = 別のサイトから送信されました
title-too-slow = 時間がかかりすぎました
title-store = このページは今、表示できません
title-new-voters = 同じネットワークからの新しい投票者が多すぎます
title-crowded = この投票への新しい参加者が多すぎます
detail-internal = サービスの不具合です。記録されました。
detail-not-found = このアドレスには何もありません。
detail-unknown-poll = このアドレスに投票はありません。
detail-poll-closed = この投票は締め切られ、もう受け付けていません。前に確認された票は有効です。
detail-not-open = この投票はまだ始まっていません。投票は保存されていません。
detail-changed = この投票はいま変更されました。投票は保存されていません。内容をもう一度確かめてから投票してください。
detail-nothing-chosen = 選択肢が選ばれていません。
detail-no-withdrawal = この投票では最初の1票が有効なため、取り消せません。
detail-too-many = { $number }個が選ばれましたが、選べるのは{ $max }個までです。
detail-cross-site = 投票は、このサイトのページからだけ送信できます。
detail-cross-site-form = このフォームは、このサイトのページからだけ送信できます。
detail-not-possible = 白票と投票の取り消しは、ここではまだできません。ログの記録に署名がないためです。
detail-foreign-secret = このサーバーの秘密鍵の設定がほかと異なるため、投票を受け付けられません。
detail-cookies-needed = 1人1票を守るためのCookieが、ブラウザーから送られませんでした。このサイトのCookieを許可してから、もう一度投票してください。
detail-voter-changed = このページを開いた後に、別の方がログインしました。ページを読み込み直してから投票してください。
detail-too-slow = データが時間内に届きませんでした。
detail-new-voters = 同じネットワークから、短い時間に非常に多くの新しい投票者がありました。
detail-overloaded = 一度に届く投票が多すぎます。
detail-not-stored = いま投票を保存できません。
detail-crowded = 現在、たいへん多くの方が初めて投票しています。
form-waits = 現在、たいへん多くの方が初めて投票しています。このページを開いたままにして、ここからもう一度送信してください。
line-is-full = 現在、たいへん多くの方が初めて投票しており、すでに多くの方が待っています。スクリプトが使えるブラウザーでは待つ必要はありません。

## 会場の画面、結果の画像、共有

show-on-screen = 画面に表示
screen-controls = この画面の操作
scan-to-vote = コードを読み取るか、次のアドレスを開いて投票
qr-of-vote = 投票先アドレスのQRコード
hide-figures = 数字を隠す
show-figures = 数字を表示
next-poll = 次の投票
full-screen = 全画面
picture-as-of = { $moment }現在。これより新しい票はこの画像に含まれていません。
embedding-off = このサイトの運営者は、結果をページ内に表示できる他のサイトを指定していません。
share = 共有
link-copied = リンクをコピーしました
