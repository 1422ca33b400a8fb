# The texts of the voters' pages, in Arabic. Forms of address fit everybody where Arabic allows it.

## The language

own-name = العربية

## Numbers, dates and lists

percent = { $share }%
date = { $day } { $month } { $year }
moment = { $weekday }، { $date }، { $time } ({ $zone })
since-at = { $date }، { $time } UTC
sentences = { $one } { $two }
listed = { $one }، { $two }
quoted = «{ $text }»
monday = الاثنين
tuesday = الثلاثاء
wednesday = الأربعاء
thursday = الخميس
friday = الجمعة
saturday = السبت
sunday = الأحد
january = يناير
february = فبراير
march = مارس
april = أبريل
may = مايو
june = يونيو
july = يوليو
august = أغسطس
september = سبتمبر
october = أكتوبر
november = نوفمبر
december = ديسمبر

## Every page

skip-to-content = الانتقال إلى المحتوى
home = الصفحة الرئيسية
languages = اللغة
this-poll = هذا التصويت
vote = تصويت
results = النتائج
see-results = عرض النتائج
other-polls = تصويتات أخرى
all-polls = كل التصويتات
served-by = أجاب الخادم

## The vote page: what is said of the poll

pick-of-two = اختر أحد الخيارين للتصويت.
pick-one = اختر خيارًا واحدًا ثم أرسل صوتك.
pick-several =
    { $number ->
        [zero] اختر ثم أرسل صوتك.
        [one] اختر خيارًا واحدًا ثم أرسل صوتك.
        [two] اختر خيارين على الأكثر ثم أرسل صوتك.
        [few] اختر { $number } خيارات على الأكثر ثم أرسل صوتك.
        [many] اختر { $number } خيارًا على الأكثر ثم أرسل صوتك.
       *[other] اختر { $number } خيار على الأكثر ثم أرسل صوتك.
    }
first-vote-counts = يُحتسب صوتك الأول.
voted-first-counts = تم تسجيل صوتك. يُحتسب صوتك الأول.
voted-of-two = لتغيير صوتك، اختر الخيار الآخر.
voted-one = لتغيير صوتك، اختر خيارًا آخر وأرسله من جديد.
voted-several = يمكنك اختيار خيارات أخرى (الحد الأقصى { $number }) وإرسالها من جديد.
voted-blank = صوّتَّ بورقة بيضاء. ما زال بإمكانك التصويت لأحد الخيارات.
forgotten = سبق التصويت من هذا المتصفح. إذا صوّتَّ الآن، يحل صوتك محل الصوت السابق.
forgotten-first-counts = سبق التصويت من هذا المتصفح. يُحتسب الصوت الأول.
vote-until = يمكنك التصويت حتى { $at }.
vote-and-change-until = يمكنك التصويت وتغيير صوتك حتى { $at }.
change-until = يمكنك تغيير صوتك حتى { $at }.
change-until-closed = يمكنك تغيير صوتك حتى إغلاق التصويت.
change-until-with-cookie = يمكنك تغيير صوتك حتى { $at }، إذا احتفظت بملف تعريف الارتباط الذي جاء مع هذا الرد.
change-until-closed-with-cookie = يمكنك تغيير صوتك حتى إغلاق التصويت، إذا احتفظت بملف تعريف الارتباط الذي جاء مع هذا الرد.
again-until = يمكنك التصويت من جديد حتى { $at }.
again-until-closed = يمكنك التصويت من جديد حتى إغلاق التصويت.
closes-on = يُغلق التصويت يوم { $at }.
not-open-yet = لم يُفتح بعد
opens-on = يُفتح هذا التصويت يوم { $at }.
is-closed = هذا التصويت مغلق
no-votes-no-changes = لم يعد ممكنًا التصويت أو تغيير الصوت.
no-votes = لم يعد التصويت ممكنًا.

## The vote page: what is said of a vote

received = تم الاستلام. إذا سبق لك التصويت، يُحتسب صوتك الأول.
withdrawn = سحبت صوتك. لا يُحتسب لك الآن أي صوت.
vote-is-in = تم استلام صوتك لـ { $label }.
blank-is-in = تم استلام صوتك الأبيض.
choices-are-in =
    { $number ->
        [zero] تم استلام صوتك.
        [one] تم استلام صوتك بخيار واحد.
        [two] تم استلام صوتك بخيارين.
        [few] تم استلام صوتك بـ { $number } خيارات.
        [many] تم استلام صوتك بـ { $number } خيارًا.
       *[other] تم استلام صوتك بـ { $number } خيار.
    }
confirmed = آخر صوت مؤكد لك هو { $label }.
confirmed-blank = آخر صوت مؤكد لك صوت أبيض.
confirmed-choices =
    { $number ->
        [zero] آخر صوت مؤكد لك بلا خيارات.
        [one] في آخر صوت مؤكد لك خيار واحد.
        [two] في آخر صوت مؤكد لك خياران.
        [few] في آخر صوت مؤكد لك { $number } خيارات.
        [many] في آخر صوت مؤكد لك { $number } خيارًا.
       *[other] في آخر صوت مؤكد لك { $number } خيار.
    }
not-shown = لم يعد صوتك ظاهرًا في هذا المتصفح. ما زال محتسبًا.
your-vote = صوتك
last-confirmed = آخر صوت مؤكد
received-word = تم الاستلام
change-to-this = التغيير إلى هذا
change-vote = تغيير الصوت
not-sent = لم يُرسل بعد

## The vote page: buttons and hints

or = أو
skip-options = تخطي الخيارات
try-again = المحاولة من جديد
dismiss = إغلاق
about-blank = يمكنك أيضًا التصويت دون اختيار أي خيار.
vote-blank = تصويت بورقة بيضاء
about-withdraw = يمكنك سحب صوتك. عندها لا يُحتسب لك أي صوت.
withdraw = سحب صوتي
about-forget = كل من يستخدم هذا المتصفح يرى صوتك هنا حتى إغلاق المتصفح.
forget = إخفاء هذا الصوت على هذا الجهاز
about-code-kept = تصويتك برمز. كل من يستخدم هذا المتصفح يمكنه التصويت بهذا الرمز حتى إغلاق المتصفح.
forget-code = نسيان الرمز على هذا الجهاز
about-session = سجّلت الدخول للتصويت. كل من يستخدم هذا المتصفح يمكنه التصويت باسمك حتى انتهاء الجلسة.
sign-out = تسجيل الخروج من هذا الجهاز

## Who could link a vote to a person

secrecy = من قد يستطيع ربط صوتك بك
secrecy-forgotten = لم يعد معروفًا من صوّت: يُحفظ فقط عدد الأصوات لكل اختيار.
secrecy-backups = قد تبيّن النسخ الاحتياطية والسجلات الأقدم من صوّت ولأي خيار، حتى تُحذف.
secrecy-application = يُحفظ صوتك مع رقم أعطاك إياه التطبيق الذي سجّلت الدخول إليه. من يدير هذا الموقع ويعرف لمن هذا الرقم قد يستطيع معرفة كيف صوّتَّ.
secrecy-code = يُحفظ صوتك دون اسمك، مع رقم مأخوذ من رمزك. من يدير هذا الموقع ويعرف لمن أُعطي رمزك قد يستطيع معرفة كيف صوّتَّ.
secrecy-login = يُحفظ صوتك مع رقم مأخوذ من الاسم الذي سجّلت الدخول به، دون هذا الاسم. من يدير هذا الموقع ويعرف هذا الاسم قد يستطيع معرفة كيف صوّتَّ.
secrecy-cookie = يُحفظ صوتك دون اسمك، مع رقم مأخوذ من ملف تعريف ارتباط في متصفحك. من يدير هذا الموقع ويحصل على هذا الملف قد يستطيع معرفة كيف صوّتَّ.
trust-cookie = يُحفظ صوتك دون اسمك.
trust-code = يُحفظ صوتك دون اسمك، تحت رقم مشتق من رمزك.
trust-login = يُحفظ صوتك دون اسمك، تحت رقم مشتق من بيانات دخولك.
trust-application = يُحفظ صوتك تحت رقم أعطاك إياه التطبيق الذي سجلت الدخول إليه.
forgotten-at-close = عند إغلاق التصويت تُمحى هوية من صوّتوا. قد تحتفظ بها النسخ الاحتياطية والسجلات الأقدم مدة أطول.
forgotten-after =
    { $number ->
        [zero] عند إغلاق التصويت تُمحى هوية من صوّتوا. قد تحتفظ بها النسخ الاحتياطية والسجلات الأقدم مدة أطول.
        [one] بعد يوم واحد من إغلاق التصويت تُمحى هوية من صوّتوا. قد تحتفظ بها النسخ الاحتياطية والسجلات الأقدم مدة أطول.
        [two] بعد يومين من إغلاق التصويت تُمحى هوية من صوّتوا. قد تحتفظ بها النسخ الاحتياطية والسجلات الأقدم مدة أطول.
        [few] بعد { $number } أيام من إغلاق التصويت تُمحى هوية من صوّتوا. قد تحتفظ بها النسخ الاحتياطية والسجلات الأقدم مدة أطول.
        [many] بعد { $number } يومًا من إغلاق التصويت تُمحى هوية من صوّتوا. قد تحتفظ بها النسخ الاحتياطية والسجلات الأقدم مدة أطول.
       *[other] بعد { $number } يوم من إغلاق التصويت تُمحى هوية من صوّتوا. قد تحتفظ بها النسخ الاحتياطية والسجلات الأقدم مدة أطول.
    }
deleted-at-close = تُحذف الأصوات عند إغلاق التصويت. قد تحتفظ بها النسخ الاحتياطية والسجلات مدة أطول.
deleted-after =
    { $number ->
        [zero] تُحذف الأصوات عند إغلاق التصويت. قد تحتفظ بها النسخ الاحتياطية والسجلات مدة أطول.
        [one] تُحذف الأصوات بعد يوم واحد من إغلاق التصويت. قد تحتفظ بها النسخ الاحتياطية والسجلات مدة أطول.
        [two] تُحذف الأصوات بعد يومين من إغلاق التصويت. قد تحتفظ بها النسخ الاحتياطية والسجلات مدة أطول.
        [few] تُحذف الأصوات بعد { $number } أيام من إغلاق التصويت. قد تحتفظ بها النسخ الاحتياطية والسجلات مدة أطول.
        [many] تُحذف الأصوات بعد { $number } يومًا من إغلاق التصويت. قد تحتفظ بها النسخ الاحتياطية والسجلات مدة أطول.
       *[other] تُحذف الأصوات بعد { $number } يوم من إغلاق التصويت. قد تحتفظ بها النسخ الاحتياطية والسجلات مدة أطول.
    }
kept-for-good = يبقى الأمر كذلك ما دامت الأصوات ونسخها الاحتياطية وسجلاتها محفوظة، أو حتى يطلب المنظّم محو هوية من صوّتوا.

## What the vote page's script says

sending = جارٍ الإرسال…
until-sent = { $what }، حتى ترسل غيره
sent-not-confirmed = أُرسل ولم يُؤكد
count-not-sent = لم يُرسل بعد.
count-not-confirmed = أُرسل لكنه لم يُؤكد.
count-last-confirmed = هذا آخر صوت مؤكد لك.
count-yours = هذا صوتك.
chosen-of = تم اختيار { $number } من { $max }.
is-the-most = الحد الأقصى { $number }. ألغِ أحد الخيارات أولًا.
choose-one = اختر خيارًا واحدًا على الأقل.
pick-first = اختر خيارًا أولًا.
opens-in = يُفتح بعد { $time }.
closes-in = يُغلق بعد { $time }.
days =
    { $number ->
        [zero] { $number } يوم
        [one] يوم واحد
        [two] يومين
        [few] { $number } أيام
        [many] { $number } يومًا
       *[other] { $number } يوم
    }
hours =
    { $number ->
        [zero] { $number } ساعة
        [one] ساعة واحدة
        [two] ساعتين
        [few] { $number } ساعات
        [many] { $number } ساعة
       *[other] { $number } ساعة
    }
minutes =
    { $number ->
        [zero] { $number } دقيقة
        [one] دقيقة واحدة
        [two] دقيقتين
        [few] { $number } دقائق
        [many] { $number } دقيقة
       *[other] { $number } دقيقة
    }
seconds =
    { $number ->
        [zero] { $number } ثانية
        [one] ثانية واحدة
        [two] ثانيتين
        [few] { $number } ثوانٍ
        [many] { $number } ثانية
       *[other] { $number } ثانية
    }
time-parts = { $one } و{ $two }
unknown = لا نعرف إن كان صوتك قد وصل. يمكنك المحاولة من جديد دون قلق: لا يُحتسب إلا مرة واحدة.
unknown-before = لا نعرف إن كانت محاولتك الأخيرة قد وصلت. يمكنك المحاولة من جديد دون قلق: لا يُحتسب صوتك إلا مرة واحدة.
unknown-earlier = لا نعرف إن كانت محاولة سابقة قد وصلت.
unknown-with-cookie = لا نعرف إن كان صوتك قد وصل. يمكنك المحاولة من جديد دون قلق: لا يُحتسب إلا مرة واحدة، إذا احتفظت بملف تعريف الارتباط الذي جاء مع هذا الرد.
offline = لا يوجد اتصال. لا نعرف إن كان صوتك قد وصل. سيُرسل من جديد عند عودة الاتصال، ولا يُحتسب إلا مرة واحدة.
online-again = عاد الاتصال. يُرسل صوتك من جديد…
kept = لا نعرف إن كان صوتك قد وصل. سيُرسل من جديد تلقائيًا، ولا يُحتسب إلا مرة واحدة.
do-not-send = عدم إرساله
sent-again = يُرسل صوتك من جديد…
not-sent-again = لم يُرسل صوتك من جديد.
cookies-blocked = لا يحتفظ متصفحك بملف تعريف الارتباط الذي يضمن احتساب صوتك مرة واحدة. اسمح بملفات تعريف الارتباط لهذا الموقع ثم صوّت.
cookie-unreadable = لا يبيّن ملف تعريف الارتباط في متصفحك من أنت.
cookie-lost = فقد هذا المتصفح ملف تعريف الارتباط الخاص بصوتك، وما زال صوتك محتسبًا. إذا صوّتَّ الآن، يكون ذلك بصفة مصوّت جديد.
vote-as-new = التصويت كمصوّت جديد
start-over = البدء من جديد
closed-before = أُغلق التصويت قبل وصول صوتك. لم يُحتسب.
earlier-counts = يُحتسب الصوت الذي تأكد من قبل.
not-counted = لم يُحتسب صوتك.
again-in-seconds =
    { $number ->
        [zero] يُرجى المحاولة من جديد الآن.
        [one] يُرجى المحاولة من جديد بعد ثانية واحدة.
        [two] يُرجى المحاولة من جديد بعد ثانيتين.
        [few] يُرجى المحاولة من جديد بعد { $number } ثوانٍ.
        [many] يُرجى المحاولة من جديد بعد { $number } ثانية.
       *[other] يُرجى المحاولة من جديد بعد { $number } ثانية.
    }
again-soon = يُرجى المحاولة من جديد بعد قليل.
texts-changed = تغيّرت نصوص هذا التصويت. يُرجى قراءتها من جديد.
open-now = التصويت مفتوح الآن.
closed-now = أُغلق التصويت.
unsent-not-counted = ما لم ترسله لا يُحتسب.
proving = يصوّت هنا الآن عدد كبير جدًا من الناس. سيُرسل صوتك بعد لحظات.
crowded = يصوّت هنا الآن عدد كبير جدًا من الناس. حاول من جديد.

## The result page

results-of = النتائج: { $title }
result = النتيجة
vote-now = صوّت الآن
live = مباشر
reconnecting = جارٍ إعادة الاتصال
polled = تحديث كل 5 ثوانٍ
stalled-since = دون تحديث منذ { $since }
final-word = نهائي
stop-reading = إيقاف قراءة التغييرات بصوت عالٍ
start-reading = قراءة التغييرات بصوت عالٍ
shares-of-voters =
    { $number ->
        [zero] كل نسبة هي من عدد المصوّتين، وقد يزيد المجموع على { $whole }.
        [one] كل نسبة هي من عدد المصوّتين. أمكن لكل مصوّت اختيار خيار واحد، وقد يزيد المجموع على { $whole }.
        [two] كل نسبة هي من عدد المصوّتين. أمكن لكل مصوّت اختيار خيارين، لذلك قد يزيد المجموع على { $whole }.
        [few] كل نسبة هي من عدد المصوّتين. أمكن لكل مصوّت اختيار { $number } خيارات، لذلك قد يزيد المجموع على { $whole }.
        [many] كل نسبة هي من عدد المصوّتين. أمكن لكل مصوّت اختيار { $number } خيارًا، لذلك قد يزيد المجموع على { $whole }.
       *[other] كل نسبة هي من عدد المصوّتين. أمكن لكل مصوّت اختيار { $number } خيار، لذلك قد يزيد المجموع على { $whole }.
    }
voters =
    { $number ->
        [zero] لا مصوّتين
        [one] مصوّت واحد
        [two] مصوّتان
        [few] { $number } مصوّتين
        [many] { $number } مصوّتًا
       *[other] { $number } مصوّت
    }
voters-and-blank =
    { $number ->
        [zero] { $voters }، بلا أصوات بيضاء ({ $share })
        [one] { $voters }، منهم صوت أبيض واحد ({ $share })
        [two] { $voters }، منهم صوتان أبيضان ({ $share })
        [few] { $voters }، منهم { $number } أصوات بيضاء ({ $share })
        [many] { $voters }، منهم { $number } صوتًا أبيض ({ $share })
       *[other] { $voters }، منهم { $number } صوت أبيض ({ $share })
    }
votes =
    { $number ->
        [zero] لا أصوات
        [one] صوت واحد
        [two] صوتان
        [few] { $number } أصوات
        [many] { $number } صوتًا
       *[other] { $number } صوت
    }
not-begun = لم يبدأ التصويت بعد.
voting-is-open = التصويت مفتوح.
voting-has-ended = انتهى التصويت. تُفرز الآن الأصوات الأخيرة.
closed-without-votes = أُغلق التصويت دون أي أصوات.
wins = الفائز: { $label }، { $votes } من { $voters }.
tie = تعادل: { $labels }، لكل منها { $votes } من { $voters }.
tie-of =
    { $number ->
        [zero] تعادل: { $votes } من { $voters } لكل خيار.
        [one] تعادل: { $votes } من { $voters } لكل خيار.
        [two] تعادل بين خيارين: { $votes } من { $voters } لكل منهما.
        [few] تعادل بين { $number } خيارات: { $votes } من { $voters } لكل منها.
        [many] تعادل بين { $number } خيارًا: { $votes } من { $voters } لكل منها.
       *[other] تعادل بين { $number } خيار: { $votes } من { $voters } لكل منها.
    }
only-blank = كل الأصوات بيضاء: لم يفز أي خيار.
voted-of =
    { $number ->
        [zero] صوّت { $number } من { $electorate } ({ $share })
        [one] صوّت { $number } من { $electorate } ({ $share })
        [two] صوّت { $number } من { $electorate } ({ $share })
        [few] صوّت { $number } من { $electorate } ({ $share })
        [many] صوّت { $number } من { $electorate } ({ $share })
       *[other] صوّت { $number } من { $electorate } ({ $share })
    }
order-of-options = ترتيب الخيارات
by-votes = الأكثر أصواتًا أولًا
by-poll = حسب ترتيب التصويت
show-all =
    { $number ->
        [zero] عرض كل الخيارات
        [one] عرض الخيار
        [two] عرض الخيارين
        [few] عرض كل الخيارات، وعددها { $number }
        [many] عرض كل الخيارات، وعددها { $number }
       *[other] عرض كل الخيارات، وعددها { $number }
    }
find-option = البحث عن خيار
find = بحث
no-option-found = لا يوجد خيار بهذا النص.
votes-over-time = الأصوات مع مرور الوقت
numbers-of-chart = أرقام هذا الرسم
time-word = الوقت
voters-word = المصوّتون
span-of-time = من { $begin } إلى { $end } ({ $zone })
no-votes-yet = لا أصوات بعد.
most-votes = أكثر الأصوات
leading = في المقدمة
tied = تعادل
place = { $label } { $share }
announcement = { $total }. { $places }.
only-the-host = لا يرى النتيجة إلا منظّم هذا التصويت.
then-shown = انتهى التصويت. تُفرز الآن الأصوات الأخيرة. بعدها تُعرض النتيجة.
shown-after-vote = تُعرض النتيجة لمن صوّتوا. ويراها الجميع بعد إغلاق التصويت.
shown-after-close = تُعرض النتيجة بعد إغلاق التصويت.
it-closes-on = يُغلق يوم { $at }.
turnout-since = { $turnout }، دون تحديث منذ { $since }
count-out-of-date = لا يمكن قراءة العدد الآن، لذلك قد لا يكون هذا محدّثًا.
go-to-poll = إلى التصويت
i-have-voted = لقد صوّتُّ

## The list of polls

no-poll-yet = لا يوجد تصويت هنا بعد.
search = بحث
search-polls = البحث عن تصويت بعنوانه
all-again = عرض كل التصويتات
nothing-found = لا يوجد تصويت في عنوانه { $query }.
found =
    { $number ->
        [zero] لا يوجد تصويت في عنوانه { $query }.
        [one] تصويت واحد في عنوانه { $query }.
        [two] تصويتان في عنوانهما { $query }.
        [few] { $number } تصويتات في عناوينها { $query }.
        [many] { $number } تصويتًا في عناوينها { $query }.
       *[other] { $number } تصويت في عناوينها { $query }.
    }
all-open =
    { $number ->
        [zero] لا توجد تصويتات.
        [one] تصويت واحد، وهو مفتوح.
        [two] تصويتان، كلاهما مفتوح.
        [few] { $number } تصويتات، كلها مفتوحة.
        [many] { $number } تصويتًا، كلها مفتوحة.
       *[other] { $number } تصويت، كلها مفتوحة.
    }
none-open =
    { $number ->
        [zero] لا توجد تصويتات.
        [one] تصويت واحد، وهو غير مفتوح.
        [two] تصويتان، لا أحد منهما مفتوح.
        [few] { $number } تصويتات، لا شيء منها مفتوح.
        [many] { $number } تصويتًا، لا شيء منها مفتوح.
       *[other] { $number } تصويت، لا شيء منها مفتوح.
    }
some-open =
    { $number ->
        [zero] لا توجد تصويتات، المفتوح منها { $open }.
        [one] تصويت واحد، المفتوح منها { $open }.
        [two] تصويتان، المفتوح منها { $open }.
        [few] { $number } تصويتات، المفتوح منها { $open }.
        [many] { $number } تصويتًا، المفتوح منها { $open }.
       *[other] { $number } تصويت، المفتوح منها { $open }.
    }
draft = مسودة
open = مفتوح
being-counted = جارٍ الفرز
closed = مغلق
pages-of-list = صفحات هذه القائمة
previous-page = الصفحة السابقة
next-page = الصفحة التالية
page-of = الصفحة { $page } من { $pages }

## What search engines and messengers show

preview-scheduled = لم يُفتح هذا التصويت بعد. خياراته
preview-one =
    { $number ->
        [zero] صوّت لأحد الخيارات
        [one] صوّت للخيار
        [two] صوّت لأحد خيارين
        [few] صوّت لأحد { $number } خيارات
        [many] صوّت لأحد { $number } خيارًا
       *[other] صوّت لأحد { $number } خيار
    }
preview-several =
    { $number ->
        [zero] صوّت للخيارات (الحد الأقصى { $max })
        [one] صوّت للخيار (الحد الأقصى { $max })
        [two] صوّت من بين خيارين (الحد الأقصى { $max })
        [few] صوّت من بين { $number } خيارات (الحد الأقصى { $max })
        [many] صوّت من بين { $number } خيارًا (الحد الأقصى { $max })
       *[other] صوّت من بين { $number } خيار (الحد الأقصى { $max })
    }
preview-closed = هذا التصويت مغلق. كانت خياراته
preview-hidden = لا تُعرض نتيجة هذا التصويت هنا بعد
preview-live = تابع وصول النتيجة
preview-result = نتيجة تصويت
preview-list = التصويتات المفتوحة والمغلقة.
preview-options = { $begin }: { $options }.
preview-cut = { $begin }: { $options }، …
preview-bare = { $begin }.

## Codes and sign-in

other-code = يستخدم هذا المتصفح رمزًا آخر لهذا التصويت. لكل رمز صوت واحد. إذا تابعت، يصوّت هذا المتصفح بالرمز الجديد، ويبقى الصوت بالرمز الآخر كما هو.
use-new-code = استخدام الرمز الجديد
keep-other-code = الاحتفاظ بالرمز الآخر
enter-code = أدخل رمزك للمشاركة في هذا التصويت.
your-code = رمزك
go-on = متابعة
about-letters = لا تهم الأحرف الصغيرة ولا المسافات. يُقرأ الحرف O على أنه 0، والحرفان I وL على أنهما 1.
sign-in = تسجيل الدخول
sign-in-needed = سجّل الدخول للمشاركة في هذا التصويت.
sign-in-again = تعذّرت معرفة من أنت. سجّل الدخول من جديد.
other-people = سجّلت الدخول، لكن هذا التصويت لأشخاص آخرين: يتطلب مجموعة أو نطاق بريد إلكتروني ليس لديك.
code-needed = تحتاج إلى رمز للمشاركة في هذا التصويت. تجده في رسالة الدعوة.
code-unreadable = ملف تعريف الارتباط الخاص برمزك تالف أو ليس من هذا الموقع. أدخل رمزك من جديد.
code-wrong = هذا ليس رمزًا لهذا التصويت. قارنه بالرمز الذي استلمته.
code-replaced = استُبدل هذا الرمز برمز آخر. استخدم الأحدث.
code-revoked = لم يعد هذا الرمز صالحًا. اسأل من أعطاك إياه.
too-many-codes = هذا ليس رمزًا لهذا التصويت، وجُرّبت رموز خاطئة كثيرة. قارنه بالرمز الذي استلمته وانتظر قليلًا. الرمز الصحيح يُقبل دائمًا.

## A cookie that cannot be read

cookie-damaged = لا يبيّن ملف تعريف الارتباط لهذا الموقع في متصفحك من أنت. إنه تالف أو ليس من هذا الموقع.
cookie-outdated = ملف تعريف الارتباط لهذا الموقع في متصفحك من نوع قديم لم يعد الموقع يقبله.
several-cookies = أرسل متصفحك عدة ملفات تعريف ارتباط تحدد المصوّت، وهي مختلفة. احذف من متصفحك ملفات تعريف الارتباط لهذا الموقع وللموقع الأعلى منه، ثم افتح هذه الصفحة من جديد.
about-start-over = لا نعرف إن كنت قد صوّتَّ من قبل. إذا بدأت من جديد تصبح مصوّتًا جديدًا: يبقى صوتك السابق محتسبًا ولا يمكنك تغييره.
start-over-as-new = البدء من جديد كمصوّت جديد

## The receipt of a vote

about-your-vote = صوتك: الإيصال والمزيد
your-receipt = إيصالك
about-receipt = بهذا الرمز يمكنك التحقق من احتساب صوتك، ما دام معروفًا من صوّت. وهو لا يُظهر ما اخترته.
keep-receipt-private = كل من لديه الرمز يمكنه التحقق أيضًا، فاحتفظ به لنفسك.
keep-as-file = حفظ كملف
check-vote = التحقق من صوتي
check-another = التحقق من إيصال آخر
about-check = أدخل رمز إيصالك لترى ما حدث لصوتك. لا يظهر ما اخترته.
receipt-code = رمز الإيصال
receipt-wrong = هذا ليس رمز إيصال من هذا الموقع. قارنه بالرمز الذي احتفظت به.
receipt-pending = وصل صوتك، وهو في انتظار العدّ.
receipt-counted = صوتك مسجّل: وهو الذي يُحتسب من أصواتك.
receipt-superseded = حل محله صوت أحدث لك.
receipt-first-counts = في هذا التصويت يُحتسب الصوت الأول، ولك صوت أسبق.
receipt-voided = أبطل منظّم التصويت هذا الصوت. لا يُحتسب.
receipt-rejected = لم يُحتسب هذا الصوت.
receipt-forgotten = لم يعد معروفًا من صوّت. لا يستطيع أحد أن يعرف أي صوت كان لك.
receipt-deleted = حُذف هذا التصويت مع كل أصواته.
reason-unreadable = تعذّرت قراءته أو حفظه. اسأل منظّم التصويت.
reason-unknown-poll = لم يكن هذا التصويت معروفًا عند وصوله.
reason-not-valid = لم يكن صوتًا صالحًا في هذا التصويت.
reason-closed = وصل بعد إغلاق التصويت.
reason-outside-times = وصل قبل فتح التصويت أو بعد إغلاقه.
reason-not-eligible = قواعد هذا التصويت لا تسمح به.
cast-in-minute = وقت الإدلاء به: { $at }.

## Failures

back-to-poll = العودة إلى التصويت
see-all-polls = عرض كل التصويتات
error-code = خطأ { $code }
title-internal = حدث خطأ ما
title-not-found = لا يوجد شيء هنا
title-request = تعذّر تنفيذ الطلب
title-unknown-poll = لا يوجد هذا التصويت
title-no-polls = لا يوجد تصويت بعد
title-poll-closed = هذا التصويت مغلق
title-poll-not-open = لم يُفتح هذا التصويت بعد
title-poll-changed = تغيّر هذا التصويت
title-result-hidden = النتيجة غير معروضة
title-invalid-choice = لا يمكن التصويت هكذا هنا
title-not-taken = لم يُقبل الصوت
title-not-confirmed = الصوت غير مؤكد
title-cookie-unreadable = تعذّرت قراءة ملف تعريف الارتباط
title-several-cookies = توجد عدة ملفات تعريف ارتباط
title-cookie-outdated = ملف تعريف الارتباط قديم جدًا
title-cookies-needed = ملفات تعريف الارتباط ضرورية للتصويت
title-foreign-secret = هذا الخادم لا يقبل الأصوات
title-not-possible = هذا غير ممكن هنا بعد
title-sign-in-needed = سجّل الدخول للتصويت
title-not-eligible = لا يمكن قبول هذا الصوت
title-code-needed = تحتاج إلى رمز
title-invalid-code = هذا الرمز غير صالح
title-too-many-codes = رموز خاطئة كثيرة
title-voter-changed = سجّل شخص آخر الدخول
title-cross-site = أُرسل من موقع آخر
title-too-slow = استغرق الطلب وقتًا طويلًا
title-store = لا يمكن عرض هذه الصفحة الآن
title-new-voters = مصوّتون جدد كثيرون من شبكتك
title-crowded = عدد كبير جدًا من المصوتين الجدد في هذا التصويت
detail-internal = هذا خطأ في الخدمة. تم تسجيله.
detail-not-found = لا يوجد شيء في هذا العنوان.
detail-unknown-poll = لا يوجد تصويت في هذا العنوان.
detail-poll-closed = هذا التصويت مغلق ولم يعد يقبل الأصوات. يُحتسب الصوت الذي تأكد من قبل.
detail-not-open = لم يُفتح هذا التصويت بعد. لم يُحفظ صوتك.
detail-changed = تغيّر هذا التصويت قبل قليل. لم يُحفظ صوتك. اطّلع على التصويت من جديد ثم صوّت.
detail-nothing-chosen = لم يُختر أي خيار.
detail-no-withdrawal = في هذا التصويت يُحتسب الصوت الأول، لذلك لا يمكن سحبه.
detail-too-many =
    { $number ->
        [zero] لم يُختر أي خيار، والحد الأقصى { $max }.
        [one] اختير خيار واحد، والحد الأقصى { $max }.
        [two] اختير خياران، والحد الأقصى { $max }.
        [few] اختيرت { $number } خيارات، والحد الأقصى { $max }.
        [many] اختير { $number } خيارًا، والحد الأقصى { $max }.
       *[other] اختير { $number } خيار، والحد الأقصى { $max }.
    }
detail-cross-site = لا يمكن إرسال الصوت إلا من صفحة هذا الموقع.
detail-cross-site-form = لا يمكن إرسال هذا النموذج إلا من صفحة هذا الموقع.
detail-not-possible = التصويت بورقة بيضاء وسحب الصوت غير ممكنين هنا بعد: مدخلات السجل غير موقّعة.
detail-foreign-secret = أُعدّ هذا الخادم بسر يختلف عن بقية الخوادم، لذلك لا يقبل الأصوات.
detail-cookies-needed = لم يرسل متصفحك ملف تعريف الارتباط الذي يضمن احتساب صوتك مرة واحدة. اسمح بملفات تعريف الارتباط لهذا الموقع ثم صوّت من جديد.
detail-voter-changed = سجّل شخص آخر الدخول منذ تحميل هذه الصفحة. حمّل الصفحة من جديد ثم صوّت.
detail-too-slow = لم تصل البيانات في الوقت المناسب.
detail-new-voters = جاء من شبكتك مصوّتون جدد كثيرون جدًا في وقت قصير.
detail-overloaded = تصل الآن أصوات كثيرة جدًا دفعة واحدة.
detail-not-stored = لا يمكن حفظ الأصوات الآن.
detail-crowded = يصوّت هنا الآن عدد كبير جدًا من الناس لأول مرة.
form-waits = يصوّت هنا الآن عدد كبير جدًا من الناس لأول مرة. أبقِ هذه الصفحة مفتوحة وأرسل صوتك منها من جديد.
line-is-full = يصوّت هنا الآن عدد كبير جدًا من الناس لأول مرة، وينتظر كثيرون غيرك. في متصفح يشغّل البرامج النصية لا حاجة إلى الانتظار.

## شاشة للجمهور، وصور النتيجة، والمشاركة

show-on-screen = العرض على شاشة
screen-controls = أدوات هذه الشاشة
scan-to-vote = للتصويت امسح الرمز أو افتح
qr-of-vote = رمز QR لعنوان التصويت
hide-figures = إخفاء الأرقام
show-figures = إظهار الأرقام
next-poll = التصويت التالي
full-screen = ملء الشاشة
picture-as-of = حتى { $moment }. الأصوات الأحدث ليست في هذه الصورة.
embedding-off = لم يحدد مشغّل هذا الموقع أي موقع آخر يجوز له عرض النتائج في صفحاته.
share = مشاركة
link-copied = نُسخ الرابط
