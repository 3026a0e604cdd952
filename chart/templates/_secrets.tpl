{{/*
What looks like a secret is refused, wherever a person may write it: values lie in Git, in the release and in Jobs, and
much of them in results. The rules are files/secrets.json, which the scripts read too (scripts/sweep/secrets.py): they
know the line, this is for plain helm. No message shows what was found.
*/}}

{{- define "helm-sweep.secrets.check" -}}
{{- $rules := .Files.Get "files/secrets.json" | fromJson -}}
{{- $values := set (omit .Values "trials" "code") "code" (omit .Values.code "files") -}}
{{- $_ := set $rules "texts" dict -}}
{{- $_ := set $rules "names" dict -}}
{{- include "helm-sweep.secrets.in" (dict "value" $values "key" "" "rules" $rules) -}}
{{- if regexMatch $rules.hint (toJson .Values.trials) -}}
  {{- range $index, $trial := .Values.trials -}}
    {{- include "helm-sweep.secrets.in" (dict "value" $trial "key" (printf "trials[%d]" $index) "rules" $rules) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* Takes (dict "value" ANY "key" STRING "rules" MAP). */}}
{{- define "helm-sweep.secrets.in" -}}
{{- $rules := .rules -}}
{{- $way := include "helm-sweep.secrets.way" .key -}}
{{- if kindIs "map" .value -}}
  {{- $name := get .value "name" -}}
  {{- if and (kindIs "string" $name) (include "helm-sweep.secrets.named" (dict "name" $name "value" (get .value "value") "rules" $rules)) -}}
    {{- fail (printf "%s.value: named like a secret; %s" .key $way) -}}
  {{- end -}}
  {{- range $name, $value := .value -}}
    {{- with include "helm-sweep.secrets.text" (dict "text" $name "rules" $rules) }}{{ fail (printf "%s: a key of it holds %s; %s" ($.key | default "values") . $way) }}{{ end -}}
    {{- $key := empty $.key | ternary $name (printf "%s.%s" $.key $name) -}}
    {{- if not (regexMatch `^(code|env\.[^.]+)\.secret$` $key) -}}
      {{- range $text := kindIs "slice" $value | ternary $value (list $value) -}}
        {{- if include "helm-sweep.secrets.named" (dict "name" $name "value" $text "rules" $rules) -}}
          {{- fail (printf "%s: named like a secret; %s" $key (hasPrefix "env." $key | ternary "write `{secret: NAME, key: KEY}` there, with the value in that Secret" (printf "%s, or call it something else if it is none" $way))) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- if not (or (kindIs "float64" $value) (kindIs "bool" $value) (kindIs "int64" $value)) -}}
      {{- include "helm-sweep.secrets.in" (dict "value" $value "key" $key "rules" $rules) -}}
    {{- end -}}
  {{- end -}}
{{- else if kindIs "slice" .value -}}
  {{- $words := list -}}
  {{- range $word := .value }}{{ if kindIs "string" $word }}{{ $words = append $words $word }}{{ end }}{{ end -}}
  {{- with include "helm-sweep.secrets.text" (dict "text" (join " " $words) "rules" $rules) }}{{ fail (printf "%s: holds %s; %s" $.key . $way) }}{{ end -}}
  {{- range $index, $value := .value -}}
    {{- include "helm-sweep.secrets.in" (dict "value" $value "key" (printf "%s[%d]" $.key $index) "rules" $rules) -}}
  {{- end -}}
{{- else if kindIs "string" .value -}}
  {{- with include "helm-sweep.secrets.text" (dict "text" .value "rules" $rules) }}{{ fail (printf "%s: holds %s; %s" $.key . $way) }}{{ end -}}
  {{- if and (eq .key "code.url") (regexMatch "^(?i:https?|ftps?)://[^/?#]*@" .value) }}{{ fail (printf "code.url: holds a user before the @; %s" $way) }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "helm-sweep.secrets.way" -}}
{{- if eq . "code.url" }}leave it out; Pods get a deploy key by code.secret, and you have git's credential helper
{{- else }}hand it over by env, as `NAME: {secret: …, key: …}`
{{- end -}}
{{- end }}

{{/* Not empty where `value` stands under a name that is a secret's, and is none of what may. */}}
{{- define "helm-sweep.secrets.named" -}}
{{- if kindIs "string" .value -}}
  {{- $name := .name -}}
  {{- if not (hasKey .rules.names $name) -}}
    {{- $_ := set .rules.names $name (and (regexMatch .rules.name $name) (not (regexMatch .rules.no_name $name))) -}}
  {{- end -}}
  {{- if get .rules.names $name -}}
    {{- if not (or (regexMatch .rules.no_value .value) (and (regexMatch .rules.path_name $name) (regexMatch .rules.path .value))) }}named{{ end -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* What looks like a secret in a text, in words that do not show it; empty if nothing does. Each text is looked at once. */}}
{{- define "helm-sweep.secrets.text" -}}
{{- $rules := .rules -}}
{{- if not (hasKey $rules.texts .text) -}}
  {{- $found := "" -}}
  {{- if regexMatch $rules.hint .text -}}
    {{- range $shape := $rules.shapes -}}
      {{- if and (not $found) (regexMatch (index $shape 1) $.text) }}{{ $found = index $shape 0 }}{{ end -}}
    {{- end -}}
    {{- range $part := regexFindAll $rules.assignment .text -1 -}}
      {{- $name := regexReplaceAll $rules.assigned $part "${1}" -}}
      {{- $value := regexReplaceAll $rules.assigned $part "${2}" -}}
      {{- if and (not $found) (include "helm-sweep.secrets.named" (dict "name" $name "value" $value "rules" $rules)) }}{{ $found = printf "a value for %s, which is named like a secret" $name }}{{ end -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $rules.texts .text $found -}}
{{- end -}}
{{- get $rules.texts .text -}}
{{- end }}
