# The texts of the voters' pages, in Spanish. Voters are addressed as "usted".

## The language

own-name = Español

## Numbers, dates and lists

percent = { $share } %
date = { $day } de { $month } de { $year }
moment = { $weekday }, { $date }, { $time } ({ $zone })
since-at = las { $time } UTC del { $date }
sentences = { $one } { $two }
listed = { $one }, { $two }
quoted = «{ $text }»
monday = lunes
tuesday = martes
wednesday = miércoles
thursday = jueves
friday = viernes
saturday = sábado
sunday = domingo
january = enero
february = febrero
march = marzo
april = abril
may = mayo
june = junio
july = julio
august = agosto
september = septiembre
october = octubre
november = noviembre
december = diciembre

## Every page

skip-to-content = Ir al contenido
home = Inicio
languages = Idioma
this-poll = Esta votación
vote = Votar
results = Resultados
see-results = Ver los resultados
other-polls = Otras votaciones
all-polls = Todas las votaciones
served-by = Respuesta de

## The vote page: what is said of the poll

pick-of-two = Elija una opción para votar.
pick-one = Elija una opción y envíe su voto.
pick-several =
    { $number ->
        [one] Elija { $number } opción y envíe su voto.
        [many] Elija hasta { $number } de opciones y envíe su voto.
       *[other] Elija hasta { $number } opciones y envíe su voto.
    }
first-vote-counts = Cuenta su primer voto.
voted-first-counts = Ya ha votado. Cuenta su primer voto.
voted-of-two = Para cambiar su voto, elija la otra opción.
voted-one = Para cambiar su voto, elija otra opción y envíelo de nuevo.
voted-several = Puede elegir otras opciones, hasta { $number }, y enviar de nuevo.
voted-blank = Ha votado en blanco. Todavía puede votar por una opción.
forgotten = Ya se votó en este navegador. Si vota ahora, su voto sustituye al anterior.
forgotten-first-counts = Ya se votó en este navegador. Cuenta el primer voto.
vote-until = Puede votar hasta el { $at }.
vote-and-change-until = Puede votar y cambiar su voto hasta el { $at }.
change-until = Puede cambiar su voto hasta el { $at }.
change-until-closed = Puede cambiar su voto hasta que se cierre la votación.
change-until-with-cookie = Puede cambiar su voto hasta el { $at }, si conserva la cookie que vino con esta respuesta.
change-until-closed-with-cookie = Puede cambiar su voto hasta que se cierre la votación, si conserva la cookie que vino con esta respuesta.
again-until = Puede volver a votar hasta el { $at }.
again-until-closed = Puede volver a votar hasta que se cierre la votación.
closes-on = La votación se cierra el { $at }.
not-open-yet = Aún no abierta
opens-on = Esta votación se abre el { $at }.
is-closed = Votación cerrada
no-votes-no-changes = Ya no se puede votar ni cambiar el voto.
no-votes = Ya no se puede votar.

## The vote page: what is said of a vote

received = Recibido. Si ya había votado, cuenta su primer voto.
withdrawn = Ha retirado su voto. Ahora no cuenta ningún voto suyo.
vote-is-in = Se ha recibido su voto por { $label }.
blank-is-in = Se ha recibido su voto en blanco.
choices-are-in =
    { $number ->
        [one] Se ha recibido su voto con { $number } opción.
        [many] Se ha recibido su voto con { $number } de opciones.
       *[other] Se ha recibido su voto con { $number } opciones.
    }
confirmed = Su último voto confirmado es por { $label }.
confirmed-blank = Su último voto confirmado es en blanco.
confirmed-choices =
    { $number ->
        [one] Su último voto confirmado tiene { $number } opción.
        [many] Su último voto confirmado tiene { $number } de opciones.
       *[other] Su último voto confirmado tiene { $number } opciones.
    }
not-shown = Su voto ya no se muestra en este navegador. Sigue contando.
your-vote = Su voto
last-confirmed = Último voto confirmado
received-word = Recibido
change-to-this = Cambiar a esta opción
change-vote = Cambiar voto
not-sent = Aún no enviado

## The vote page: buttons and hints

or = o
skip-options = Saltar las opciones
try-again = Intentar de nuevo
dismiss = Cerrar
about-blank = También puede votar en blanco.
vote-blank = Votar en blanco
about-withdraw = Puede retirar su voto. Entonces no cuenta ningún voto suyo.
withdraw = Retirar mi voto
about-forget = Quien use este navegador verá aquí su voto hasta que se cierre el navegador.
forget = Olvidar este voto en este dispositivo
about-code-kept = Vota con un código. Quien use este navegador puede votar con él hasta que se cierre el navegador.
forget-code = Olvidar el código en este dispositivo
about-session = Ha iniciado sesión para votar. Quien use este navegador puede votar en su nombre hasta que termine la sesión.
sign-out = Cerrar sesión en este dispositivo

## Who could link a vote to a person

secrecy = Quién podría relacionar su voto con usted
secrecy-forgotten = Ya no consta quién votó: solo se conserva el número de votos de cada elección.
secrecy-backups = Las copias de seguridad y los registros anteriores aún pueden decir quién votó qué, hasta que se borren.
secrecy-application = Su voto se guarda con un número que le dio la aplicación en la que inició sesión. Quien administre este sitio y sepa de quién es ese número podría saber qué votó.
secrecy-code = Su voto se guarda sin su nombre, con un número que se obtiene de su código. Quien administre este sitio y sepa a quién se dio su código podría saber qué votó.
secrecy-login = Su voto se guarda con un número que se obtiene del nombre con el que inició sesión, sin ese nombre. Quien administre este sitio y conozca ese nombre podría saber qué votó.
secrecy-cookie = Su voto se guarda sin su nombre, con un número que se obtiene de una cookie de su navegador. Quien administre este sitio y consiga esa cookie podría saber qué votó.
trust-cookie = Su voto se guarda sin su nombre.
trust-code = Su voto se guarda sin su nombre, con un número que se obtiene de su código.
trust-login = Su voto se guarda sin su nombre, con un número que se obtiene de su inicio de sesión.
trust-application = Su voto se guarda con un número que le ha dado la aplicación en la que ha iniciado sesión.
forgotten-at-close = Cuando se cierre la votación, dejará de constar quién votó. Las copias de seguridad y los registros anteriores pueden conservarlo más tiempo.
forgotten-after =
    { $number ->
        [one] { $number } día después del cierre dejará de constar quién votó. Las copias de seguridad y los registros anteriores pueden conservarlo más tiempo.
        [many] { $number } de días después del cierre dejará de constar quién votó. Las copias de seguridad y los registros anteriores pueden conservarlo más tiempo.
       *[other] { $number } días después del cierre dejará de constar quién votó. Las copias de seguridad y los registros anteriores pueden conservarlo más tiempo.
    }
deleted-at-close = Los votos se borran cuando se cierra la votación. Las copias de seguridad y los registros pueden conservarlos más tiempo.
deleted-after =
    { $number ->
        [one] Los votos se borran { $number } día después del cierre. Las copias de seguridad y los registros pueden conservarlos más tiempo.
        [many] Los votos se borran { $number } de días después del cierre. Las copias de seguridad y los registros pueden conservarlos más tiempo.
       *[other] Los votos se borran { $number } días después del cierre. Las copias de seguridad y los registros pueden conservarlos más tiempo.
    }
kept-for-good = Será así mientras se guarden los votos, sus copias de seguridad y sus registros, o hasta que quien organiza la votación haga borrar quién votó.

## What the vote page's script says

sending = Enviando…
until-sent = { $what }, hasta que envíe otro
sent-not-confirmed = Enviado, sin confirmar
count-not-sent = Aún no enviado.
count-not-confirmed = Enviado, pero sin confirmar.
count-last-confirmed = Este es su último voto confirmado.
count-yours = Este es su voto.
chosen-of =
    { $number ->
        [one] { $number } de { $max } elegida.
        [many] { $number } de { $max } elegidas.
       *[other] { $number } de { $max } elegidas.
    }
is-the-most = El máximo es { $number }. Quite una opción primero.
choose-one = Elija al menos una opción.
pick-first = Primero elija una opción.
opens-in = Se abre dentro de { $time }.
closes-in = Se cierra dentro de { $time }.
days =
    { $number ->
        [one] { $number } día
        [many] { $number } de días
       *[other] { $number } días
    }
hours =
    { $number ->
        [one] { $number } hora
        [many] { $number } de horas
       *[other] { $number } horas
    }
minutes =
    { $number ->
        [one] { $number } minuto
        [many] { $number } de minutos
       *[other] { $number } minutos
    }
seconds =
    { $number ->
        [one] { $number } segundo
        [many] { $number } de segundos
       *[other] { $number } segundos
    }
time-parts = { $one } y { $two }
unknown = No sabemos si su voto llegó. Puede intentarlo de nuevo sin riesgo: cuenta una sola vez.
unknown-before = No sabemos si su último intento llegó. Puede intentarlo de nuevo sin riesgo: su voto cuenta una sola vez.
unknown-earlier = No sabemos si un intento anterior llegó.
unknown-with-cookie = No sabemos si su voto llegó. Puede intentarlo de nuevo sin riesgo: cuenta una sola vez, si conserva la cookie que vino con esta respuesta.
offline = No hay conexión. No sabemos si su voto llegó. Se enviará de nuevo cuando haya conexión y cuenta una sola vez.
online-again = Vuelve a haber conexión. Su voto se envía de nuevo…
kept = No sabemos si su voto llegó. Se enviará de nuevo por sí solo y cuenta una sola vez.
do-not-send = No enviarlo
sent-again = Su voto se envía de nuevo…
not-sent-again = Su voto no se envió de nuevo.
cookies-blocked = Su navegador no conserva la cookie que asegura que su voto cuente una sola vez. Permita las cookies de este sitio y vote después.
cookie-unreadable = La cookie de su navegador no dice quién es usted.
cookie-lost = Este navegador ha perdido la cookie de su voto, que sigue contando. Si vota ahora, votará como votante nuevo.
vote-as-new = Votar como votante nuevo
start-over = Empezar de nuevo
closed-before = La votación se cerró antes de que llegara su voto. No se ha contado.
earlier-counts = Cuenta el voto que se confirmó antes.
not-counted = Su voto no se ha contado.
again-in-seconds =
    { $number ->
        [one] Inténtelo de nuevo dentro de { $number } segundo.
        [many] Inténtelo de nuevo dentro de { $number } de segundos.
       *[other] Inténtelo de nuevo dentro de { $number } segundos.
    }
again-soon = Inténtelo de nuevo en un momento.
texts-changed = Los textos de esta votación han cambiado. Vuelva a leerlos.
open-now = La votación ya está abierta.
closed-now = La votación se ha cerrado.
unsent-not-counted = Lo que no había enviado no cuenta.
proving = En este momento vota aquí muchísima gente. Su voto se envía enseguida.
crowded = En este momento vota aquí muchísima gente. Inténtelo de nuevo.

## The result page

results-of = Resultados: { $title }
result = Resultado
vote-now = Votar ahora
live = En directo
reconnecting = Reconectando
polled = Se actualiza cada 5 segundos
stalled-since = Sin actualizar desde { $since }
final-word = Definitivo
stop-reading = Dejar de leer los cambios en voz alta
start-reading = Leer los cambios en voz alta
shares-of-voters =
    { $number ->
        [one] Cada porcentaje es sobre quienes votaron, hasta el { $whole }. Cada persona podía elegir { $number } opción.
        [many] Cada porcentaje es sobre quienes votaron. Cada persona podía elegir hasta { $number } de opciones, así que la suma puede superar el { $whole }.
       *[other] Cada porcentaje es sobre quienes votaron. Cada persona podía elegir hasta { $number } opciones, así que la suma puede superar el { $whole }.
    }
voters =
    { $number ->
        [one] { $number } votante
        [many] { $number } de votantes
       *[other] { $number } votantes
    }
voters-and-blank =
    { $number ->
        [one] { $voters }, { $number } en blanco ({ $share })
        [many] { $voters }, { $number } en blanco ({ $share })
       *[other] { $voters }, { $number } en blanco ({ $share })
    }
votes =
    { $number ->
        [one] { $number } voto
        [many] { $number } de votos
       *[other] { $number } votos
    }
not-begun = La votación aún no ha empezado.
voting-is-open = La votación está abierta.
voting-has-ended = La votación ha terminado. Se cuentan los últimos votos.
closed-without-votes = La votación se cerró sin votos.
wins = Gana { $label } con { $votes } de { $voters }.
tie = Empate: { $labels } tienen { $votes } de { $voters } cada una.
tie-of =
    { $number ->
        [one] Empate: { $number } opciones tienen { $votes } de { $voters } cada una.
        [many] Empate: { $number } opciones tienen { $votes } de { $voters } cada una.
       *[other] Empate: { $number } opciones tienen { $votes } de { $voters } cada una.
    }
only-blank = Todos los votos son en blanco: no ha ganado ninguna opción.
voted-of =
    { $number ->
        [one] { $number } de { $electorate } ha votado ({ $share })
        [many] { $number } de { $electorate } han votado ({ $share })
       *[other] { $number } de { $electorate } han votado ({ $share })
    }
order-of-options = Orden de las opciones
by-votes = Más votos primero
by-poll = En el orden de la votación
show-all =
    { $number ->
        [one] Mostrar las { $number } opciones
        [many] Mostrar las { $number } opciones
       *[other] Mostrar las { $number } opciones
    }
find-option = Buscar una opción
find = Buscar
no-option-found = Ninguna opción tiene este texto.
votes-over-time = Votos a lo largo del tiempo
numbers-of-chart = Los números de este gráfico
time-word = Hora
voters-word = Votantes
span-of-time = De { $begin } a { $end } ({ $zone })
no-votes-yet = Aún no hay votos.
most-votes = Más votos
leading = En cabeza
tied = Empate
place = { $label } { $share }
announcement = { $total }. { $places }.
only-the-host = Solo quien organiza esta votación ve su resultado.
then-shown = La votación ha terminado. Se cuentan los últimos votos. Después se muestra el resultado.
shown-after-vote = El resultado se muestra a quienes han votado. Todos lo verán cuando se cierre la votación.
shown-after-close = El resultado se muestra cuando se cierra la votación.
it-closes-on = Se cierra el { $at }.
turnout-since = { $turnout }, sin actualizar desde { $since }
count-out-of-date = Ahora mismo no se puede leer el recuento, así que esto puede no estar al día.
go-to-poll = Ir a la votación
i-have-voted = Ya he votado

## The list of polls

no-poll-yet = Aquí aún no hay votaciones.
search = Buscar
search-polls = Buscar votaciones por título
all-again = Ver todas las votaciones
nothing-found = Ninguna votación tiene { $query } en el título.
found =
    { $number ->
        [one] { $number } votación tiene { $query } en el título.
        [many] { $number } de votaciones tienen { $query } en el título.
       *[other] { $number } votaciones tienen { $query } en el título.
    }
all-open =
    { $number ->
        [one] { $number } votación, abierta.
        [many] { $number } de votaciones, todas abiertas.
       *[other] { $number } votaciones, todas abiertas.
    }
none-open =
    { $number ->
        [one] { $number } votación, no abierta.
        [many] { $number } de votaciones, ninguna abierta.
       *[other] { $number } votaciones, ninguna abierta.
    }
some-open =
    { $number ->
        [one] { $number } votación; abiertas: { $open }.
        [many] { $number } de votaciones; abiertas: { $open }.
       *[other] { $number } votaciones; abiertas: { $open }.
    }
draft = Borrador
open = Abierta
being-counted = En recuento
closed = Cerrada
pages-of-list = Páginas de esta lista
previous-page = Página anterior
next-page = Página siguiente
page-of = Página { $page } de { $pages }

## What search engines and messengers show

preview-scheduled = Esta votación aún no está abierta. Tiene estas opciones
preview-one =
    { $number ->
        [one] Vote por { $number } opción
        [many] Vote por una de { $number } de opciones
       *[other] Vote por una de { $number } opciones
    }
preview-several =
    { $number ->
        [one] Vote por hasta { $max } de { $number } opción
        [many] Vote por hasta { $max } de { $number } de opciones
       *[other] Vote por hasta { $max } de { $number } opciones
    }
preview-closed = Esta votación está cerrada. Tenía estas opciones
preview-hidden = El resultado de esta votación aún no se muestra aquí
preview-live = Vea llegar el resultado
preview-result = El resultado de una votación
preview-list = Las votaciones abiertas y las cerradas.
preview-options = { $begin }: { $options }.
preview-cut = { $begin }: { $options }, …
preview-bare = { $begin }.

## Codes and sign-in

other-code = Este navegador usa otro código de esta votación. Cada código tiene un voto. Si continúa, este navegador vota con el código nuevo; un voto con el otro código queda como está.
use-new-code = Usar el código nuevo
keep-other-code = Conservar el otro código
enter-code = Escriba su código para votar.
your-code = Su código
go-on = Continuar
about-letters = Las minúsculas y los espacios no importan. La O se lee como 0, y la I y la L como 1.
sign-in = Iniciar sesión
sign-in-needed = Inicie sesión para votar.
sign-in-again = No se pudo saber quién es usted. Inicie sesión de nuevo.
other-people = Ha iniciado sesión, pero esta votación es para otras personas: pide un grupo o un dominio de correo que usted no tiene.
code-needed = Para votar necesita un código. Está en la carta o en el mensaje de invitación.
code-unreadable = La cookie de su código está dañada o no es de este sitio. Escriba su código de nuevo.
code-wrong = Este no es un código de esta votación. Compárelo con el que recibió.
code-replaced = Este código fue sustituido por otro. Use el más reciente.
code-revoked = Este código ya no es válido. Pregunte a quien se lo dio.
too-many-codes = Este no es un código de esta votación, y se han probado demasiados incorrectos. Compárelo con el que recibió y espere un momento. Un código correcto siempre se acepta.

## A cookie that cannot be read

cookie-damaged = La cookie de su navegador para este sitio no dice quién es usted. Está dañada o no es de este sitio.
cookie-outdated = La cookie de su navegador para este sitio es de un tipo antiguo que ya no se acepta.
several-cookies = Su navegador envió varias cookies que identifican a un votante, y son distintas. Borre en su navegador las cookies de este sitio y las del sitio superior, y abra esta página de nuevo.
about-start-over = No sabemos si ya votó. Si empieza de nuevo, un voto anterior suyo sigue contando y ya no podrá cambiarlo.
start-over-as-new = Empezar de nuevo

## The receipt of a vote

about-your-vote = Su voto: comprobante y más
your-receipt = Su comprobante
about-receipt = Con este código puede comprobar si su voto cuenta, hasta que deje de constar quién votó. No muestra lo que eligió.
keep-receipt-private = Quien tenga el código también puede comprobarlo; guárdelo para usted.
keep-as-file = Guardar como archivo
check-vote = Comprobar mi voto
check-another = Comprobar otro comprobante
about-check = Escriba el código de su comprobante para ver qué ha sido de su voto. No se muestra lo que eligió.
receipt-code = Código del comprobante
receipt-wrong = Este no es el código de un comprobante de este sitio. Compárelo con el que guardó.
receipt-pending = Su voto ha llegado y espera a ser contado.
receipt-counted = Su voto consta: de los suyos, es el que cuenta.
receipt-superseded = Un voto suyo más reciente lo ha sustituido.
receipt-first-counts = En esta votación cuenta el primer voto, y ya hay uno anterior suyo.
receipt-voided = Quien organiza la votación ha anulado este voto. No cuenta.
receipt-rejected = Este voto no se ha contado.
receipt-forgotten = Ya no consta quién votó. Nadie puede decir ya cuál era su voto.
receipt-deleted = Esta votación se ha borrado, con todos sus votos.
reason-unreadable = No se pudo leer o guardar. Pregunte a quien organiza la votación.
reason-unknown-poll = Cuando llegó su voto, aquí no se conocía la votación.
reason-not-valid = No era un voto válido en esta votación.
reason-closed = Llegó después de cerrarse la votación.
reason-outside-times = Llegó antes de abrirse la votación o después de cerrarse.
reason-not-eligible = Las reglas de esta votación no lo permiten.
cast-in-minute = Se emitió el { $at }.

## Failures

back-to-poll = Volver a la votación
see-all-polls = Ver todas las votaciones
error-code = Error { $code }
title-internal = Algo ha fallado
title-not-found = Aquí no hay nada
title-request = La solicitud ha fallado
title-unknown-poll = Esta votación no existe
title-no-polls = Aún no hay votaciones
title-poll-closed = Esta votación está cerrada
title-poll-not-open = Esta votación aún no está abierta
title-poll-changed = Esta votación ha cambiado
title-result-hidden = El resultado no se muestra
title-invalid-choice = Así no se puede votar aquí
title-not-taken = El voto no se ha aceptado
title-not-confirmed = El voto no está confirmado
title-cookie-unreadable = No se puede leer su cookie
title-several-cookies = Hay varias cookies
title-cookie-outdated = Su cookie es demasiado antigua
title-cookies-needed = Para votar se necesitan cookies
title-foreign-secret = Este servidor no acepta votos
title-not-possible = Esto aún no es posible aquí
title-sign-in-needed = Inicie sesión para votar
title-not-eligible = Este voto no se puede aceptar
title-code-needed = Necesita un código
title-invalid-code = Este código no es válido
title-too-many-codes = Demasiados códigos incorrectos
title-voter-changed = Otra persona ha iniciado sesión
title-cross-site = Enviado desde otro sitio
title-too-slow = La solicitud tardó demasiado
title-store = Esta página no se puede mostrar ahora
title-new-voters = Demasiados votantes nuevos desde su red
title-crowded = Demasiados votantes nuevos en esta votación
detail-internal = Es un fallo del servicio. Ha quedado registrado.
detail-not-found = No hay nada en esta dirección.
detail-unknown-poll = No hay ninguna votación en esta dirección.
detail-poll-closed = Esta votación está cerrada y ya no acepta votos. Un voto confirmado antes cuenta.
detail-not-open = Esta votación aún no está abierta. Su voto no se ha guardado.
detail-changed = Esta votación acaba de cambiar. Su voto no se ha guardado. Mírela de nuevo y vote después.
detail-nothing-chosen = No se eligió ninguna opción.
detail-no-withdrawal = En esta votación cuenta el primer voto, así que no se puede retirar.
detail-too-many =
    { $number ->
        [one] Se eligió { $number } opción y el máximo es { $max }.
        [many] Se eligieron { $number } de opciones y el máximo es { $max }.
       *[other] Se eligieron { $number } opciones y el máximo es { $max }.
    }
detail-cross-site = Un voto solo se puede enviar desde la página de este sitio.
detail-cross-site-form = Este formulario solo se puede enviar desde la página de este sitio.
detail-not-possible = Votar en blanco o retirar un voto aún no es posible aquí: las entradas del registro no están firmadas.
detail-foreign-secret = Este servidor tiene otro secreto que los demás, así que no acepta votos.
detail-cookies-needed = Su navegador no envió la cookie que asegura que su voto cuente una sola vez. Permita las cookies de este sitio y vote de nuevo.
detail-voter-changed = Otra persona ha iniciado sesión desde que se cargó esta página. Cárguela de nuevo y vote después.
detail-too-slow = Los datos no llegaron a tiempo.
detail-new-voters = Desde su red llegaron muchísimos votantes nuevos en poco tiempo.
detail-overloaded = Están llegando demasiados votos a la vez.
detail-not-stored = Ahora mismo no se pueden guardar votos.
detail-crowded = En este momento muchísima gente vota aquí por primera vez.
form-waits = En este momento muchísima gente vota aquí por primera vez. Deje abierta esta página y envíe su voto otra vez desde ella.
line-is-full = En este momento muchísima gente vota aquí por primera vez y ya hay demasiadas personas esperando. En un navegador con scripts no hace falta esperar.

## La pantalla para un público, imágenes de un resultado y compartir

show-on-screen = Mostrar en una pantalla
screen-controls = Controles de esta pantalla
scan-to-vote = Para votar, escanee el código o abra
qr-of-vote = Código QR de la dirección donde se vota
hide-figures = Ocultar las cifras
show-figures = Mostrar las cifras
next-poll = Votación siguiente
full-screen = Pantalla completa
picture-as-of = Datos de { $moment }. Los votos posteriores no están en esta imagen.
embedding-off = El operador de este sitio no ha indicado ningún otro sitio que pueda mostrar resultados en sus páginas.
share = Compartir
link-copied = Enlace copiado
