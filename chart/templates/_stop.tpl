{{/*
Stop rules (`stop`): what the runner is told of them, and which trials are each other's peers. Nothing of it is in a
trial's identity: a verdict is not a result (docs/decisions/stopping.md).
*/}}

{{/* The rule with its defaults filled in; JSON, empty where there is none. */}}
{{- define "helm-sweep.stop.rule" -}}
{{- if .Values.stop -}}
{{- $given := include "helm-sweep.laid" (dict "lower" dict "upper" .Values.stop) | fromJson -}}
{{- $objectives := kindIs "slice" .Values.objective | ternary .Values.objective (list .Values.objective) -}}
{{- $metric := $given.metric | default (first $objectives).metric -}}
{{- $defaults := dict "metric" $metric "nan" true -}}
{{- range $objectives }}{{ if eq .metric $metric }}{{ $_ := set $defaults "direction" .direction }}{{ end }}{{ end -}}
{{- if has $given.rule (list "asha" "median") -}}
  {{- $eta := $given.eta | default 3 -}}
  {{- $_ := set (set (set $defaults "min" 1) "eta" $eta) "min_peers" (mul $eta $eta) -}}
{{- end -}}
{{- include "helm-sweep.laid" (dict "lower" $defaults "upper" $given) -}}
{{- end -}}
{{- end }}

{{/* What names the folder of the rungs: a hash of the rule and of all that must be alike for two trials to be compared.
The hyperparameters that the sweep fixes are among it, for another number of epochs makes another learning curve; the
budget is not, for that is the axis. */}}
{{- define "helm-sweep.stop.group" -}}
{{- $fixed := .Values.hyperparameters | default dict -}}
{{- with .Values.budget }}{{ $fixed = omit $fixed . }}{{ end -}}
{{- dict
      "rule" (include "helm-sweep.stop.rule" . | fromJson)
      "objective" .Values.objective
      "hyperparameters" $fixed
      "command" .Values.command
      "env" (.Values.env | default dict)
      "passing" (include "helm-sweep.passing.settings" . | fromJson)
      "metrics" (include "helm-sweep.metrics.identity" . | fromJsonArray)
      "steps" (include "helm-sweep.metrics.steps" . | fromJsonArray)
      "budget" (.Values.budget | default "")
      "code" (include "helm-sweep.code.hash" .)
      "image" (include "helm-sweep.image.identity" .)
      "data" (.Values.data.id | default "") | toJson | sha256sum | trunc 12 -}}
{{- end }}

{{- define "helm-sweep.stop.check" -}}
{{- with include "helm-sweep.stop.rule" . -}}
{{- $rule := fromJson . -}}
{{- $ranked := has $rule.rule (list "asha" "median") -}}
{{- if not $rule.direction }}{{ fail (printf "stop.direction: %s is none of the objectives, so say which way is better: maximize or minimize" $rule.metric) }}{{ end -}}
{{- range $key := list "min" "eta" "max" "min_peers" "audit" -}}
  {{- if and (hasKey $rule $key) (not $ranked) (not (and (eq $key "audit") (eq (toString $rule.rule) "threshold"))) }}{{ fail (printf "stop.%s: is for the rules asha and median%s; remove it, or set stop.rule" $key (eq $key "audit" | ternary ", and for threshold" "")) }}{{ end -}}
{{- end -}}
{{- if and (eq (toString $rule.rule) "threshold") (not $rule.at) }}{{ fail "stop.at: is missing; name what must be reached at which step, as in `at: {\"3\": 0.5, \"9\": 0.6}`" }}{{ end -}}
{{- if and (hasKey $rule "at") (ne (toString $rule.rule) "threshold") }}{{ fail "stop.at: is for `rule: threshold` alone; remove it" }}{{ end -}}
{{- if and $ranked (hasKey $rule "max") (le (float64 $rule.max) (float64 $rule.min)) }}{{ fail (printf "stop.max: %v is not above stop.min, %v; trials are compared at min, min x eta … below max" $rule.max $rule.min) }}{{ end -}}
{{- end -}}
{{- end }}
