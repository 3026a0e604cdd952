{{/*
How programs get hyperparameters: files/passing.py does it, in the Pod; here is what of it belongs to an identity, and
what is refused before anything runs. A sweep passes nothing, and no word of its command means anything, unless it says
so: by `passing`, by the word {hyperparameters}, or by a placeholder that names a hyperparameter of the trial.
*/}}

{{/* The settings less those that are as by default, so that both spellings are one trial. JSON. */}}
{{- define "helm-sweep.passing.settings" -}}
{{- $defaults := dict "style" "--name=value" "booleans" "value" "dashes" false "lists" "json" "floats" list -}}
{{- $settings := dict -}}
{{- range $key, $value := .Values.passing -}}
  {{- if kindIs "map" $value }}{{ $value = include "helm-sweep.laid" (dict "lower" dict "upper" $value) | fromJson }}{{ end -}}
  {{- $default := and (hasKey $defaults $key) (eq (toJson (get $defaults $key)) (toJson $value)) -}}
  {{- if not (or $default (kindIs "invalid" $value)) }}{{ $_ := set $settings $key $value }}{{ end -}}
{{- end -}}
{{- toJson $settings -}}
{{- end }}

{{/* Not empty where every trial passes its hyperparameters, whatever their names. */}}
{{- define "helm-sweep.passing.always" -}}
{{- if or (not (kindIs "invalid" .Values.passing)) (has "{hyperparameters}" (.Values.command | default list)) }}true{{ end -}}
{{- end }}

{{/* The placeholders in the words of the command: `name` or `name?` -> the word. `${…}` is none. JSON. */}}
{{- define "helm-sweep.passing.placeholders" -}}
{{- $found := dict -}}
{{- range $word := .Values.command -}}
  {{- range $token := include "helm-sweep.passing.tokens" $word | fromJsonArray -}}
    {{- if gt (len $token) 2 }}{{ $_ := set $found ($token | trimPrefix "{" | trimSuffix "}") $word }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* What means something in a word, as TOKEN of files/passing.py: placeholders, `{{`, `}}` and single braces; nothing in
a word without a placeholder. Takes the word. JSON. */}}
{{- define "helm-sweep.passing.tokens" -}}
{{- $tokens := list -}}
{{- if regexMatch `\{[A-Za-z_][A-Za-z0-9_.-]*\??\}` (regexReplaceAll `\$\{[^{}]*\}` . "") -}}
  {{- range regexFindAll `\{\{|\}\}|\$\{[^{}]*\}|\{[A-Za-z_][A-Za-z0-9_.-]*\??\}|[{}]` . -1 -}}
    {{- if not (hasPrefix "$" .) }}{{ $tokens = append $tokens . }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- toJson $tokens -}}
{{- end }}

{{/* Not empty where a placeholder names a hyperparameter. Takes (dict "placeholders" MAP "names" LIST). */}}
{{- define "helm-sweep.passing.named" -}}
{{- range $name, $_ := .placeholders }}{{ if has (trimSuffix "?" $name) $.names }}true{{ end }}{{ end -}}
{{- end }}

{{/* What cannot be passed as it is asked for. */}}
{{- define "helm-sweep.passing.check" -}}
{{- $placeholders := include "helm-sweep.passing.placeholders" . | fromJson -}}
{{- $others := list "seed" "trial" "data_dir" "checkpoint_dir" "output_dir" "file" -}}
{{- $always := include "helm-sweep.passing.always" . -}}
{{- $settings := include "helm-sweep.passing.settings" . | fromJson -}}
{{- $shared := include "helm-sweep.hyperparameters" . | fromJson -}}
{{- $listed := list -}}
{{- $without := list -}}
{{- $used := $always -}}
{{- if or $always $placeholders -}}
{{- range $index, $trial := .Values.trials -}}
  {{- $names := concat (keys (omit $trial "seed" "resources" "gpu" "limit_seconds" "image")) (keys $shared) | uniq -}}
  {{- $listed = append $listed $names -}}
  {{- if $always -}}
  {{- else if include "helm-sweep.passing.named" (dict "placeholders" $placeholders "names" $names) }}{{ $used = "true" -}}
  {{- else }}{{ $without = append $without $index }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $used -}}
  {{- $file := $settings.file | default dict -}}
  {{- range $key := list "path" "merge" -}}
    {{- $path := get $file $key -}}
    {{- if or (hasPrefix "/" $path) (has ".." (splitList "/" $path)) }}{{ fail (printf "passing.file.%s: %q leads out of the folder of the code; write a path below it" $key $path) }}{{ end -}}
  {{- end -}}
  {{- if ne (eq ($file.format | default "") "text") (hasKey $file "text") }}{{ fail "passing.file: `format: text` and `text`, the lines of the file, go together; write both" }}{{ end -}}
  {{- if and $file.text $file.merge }}{{ fail "passing.file.merge: a text is the whole file; remove one of them" }}{{ end -}}
  {{- if and $file.merge (not $file.path) }}{{ fail "passing.file.path: is missing; say where the merged file is written, it may be `merge` itself" }}{{ end -}}
  {{- if and (eq ($settings.style | default "") "name=value") (or (has $settings.booleans (list "flag" "switch" "inner switch")) (eq ($settings.lists | default "") "words")) -}}
    {{- fail "passing.style: name=value has a value in every word; set `booleans: value` and lists to json, commas or repeat" -}}
  {{- end -}}
  {{- range $word := .Values.command -}}
    {{- $tokens := include "helm-sweep.passing.tokens" $word | fromJsonArray -}}
    {{- if or (has "{" $tokens) (has "}" $tokens) }}{{ fail (printf "command: the word `%s` has a placeholder and a single brace; write {{ and }} for braces that are meant literally" $word) }}{{ end -}}
    {{- if and (ne $word "{hyperparameters}") (has "{hyperparameters}" $tokens) }}{{ fail (printf "command: {hyperparameters} in `%s` stands for several words; make it a word of its own" $word) }}{{ end -}}
  {{- end -}}
  {{- if and (hasKey $placeholders "file") (not $file) }}{{ fail "command: {file} is the file of passing.file, which is not set" }}{{ end -}}
  {{- if and (hasKey $placeholders "data_dir") (not (include "helm-sweep.data.mounted" .)) }}{{ fail "command: {data_dir} is the data volume, and the sweep has none; set data.volume" }}{{ end -}}
  {{- range $name := $settings.floats -}}
    {{- $found := false -}}
    {{- range $names := $listed }}{{ if has $name $names }}{{ $found = true }}{{ end }}{{ end -}}
    {{- if not $found }}{{ fail (printf "passing.floats: %s is not a hyperparameter of any trial; correct it, or remove it" $name) }}{{ end -}}
  {{- end -}}
  {{- range $index, $names := $listed -}}
    {{- if has $settings.seed $names }}{{ fail (printf "passing.seed: %s is a hyperparameter too; rename one" $settings.seed) }}{{ end -}}
    {{- if kindIs "string" $settings.environment -}}
      {{- range $name := $names -}}
        {{- $variable := printf "%s%s" $settings.environment (regexReplaceAll "[^A-Za-z0-9_]" $name "_") -}}
        {{- if has $variable (concat (include "helm-sweep.names.runner" $ | fromJsonArray) (keys ($.Values.env | default dict))) }}{{ fail (printf "passing.environment: the hyperparameter %s would be the variable %s, which means something else; set another prefix, as in HP_" $name $variable) }}{{ end -}}
      {{- end -}}
    {{- end -}}
    {{- range $name, $word := $placeholders -}}
      {{- $plain := trimSuffix "?" $name -}}
      {{- if has $plain $names -}}
        {{- if has $plain (append $others "hyperparameters") }}{{ fail (printf "command: {%s} in `%s` is a hyperparameter and has a meaning of its own; rename the hyperparameter" $plain $word) }}{{ end -}}
      {{- else if not (or (has $plain (append $others "hyperparameters")) (eq $plain ($settings.seed | default "")) (ne $name $plain)) -}}
        {{- $nearest := include "helm-sweep.passing.nearest" (dict "name" $plain "names" (concat $names $others)) -}}
        {{- fail (printf "command: {%s} in `%s` names no hyperparameter of trials[%d]; the nearest is {%s}. {{%s}} is a literal brace, {%s?} leaves the word out where a trial has none" $plain $word $index $nearest $plain $plain) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- range $without }}{{ fail (printf "command: its placeholders name no hyperparameter of trials[%d]; write `passing: {}` to have them all replaced there too" .) }}{{ end -}}
{{- end -}}
{{- end }}

{{/* The name that shares the most letters and pairs of letters with another, for its length. Takes (dict "name" STRING
"names" LIST). */}}
{{- define "helm-sweep.passing.nearest" -}}
{{- $best := dict "score" -1 "name" "" -}}
{{- range $name := sortAlpha .names -}}
  {{- $common := 0 -}}
  {{- range $place := until (len $.name) -}}
    {{- range $size := list 1 2 -}}
      {{- $part := substr $place (int (min (len $.name) (add $place $size))) $.name -}}
      {{- if contains $part $name }}{{ $common = add $common (len $part) }}{{ end -}}
    {{- end -}}
  {{- end -}}
  {{- $score := div (mul 1000 $common) (add (len $name) (len $.name)) -}}
  {{- if gt (int $score) (int $best.score) }}{{ $best = dict "score" $score "name" $name }}{{ end -}}
{{- end -}}
{{- $best.name -}}
{{- end }}
