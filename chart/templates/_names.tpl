{{/*
Names that the system relies on, and every place where a person may write a name: what meets one of them is refused, in
words that name the key. tests/chart/test_names.py holds these lists against what the chart renders.
*/}}

{{/* Variables that the runner and the chart set; the last of them where a trial has several nodes. JSON. */}}
{{- define "helm-sweep.names.runner" -}}
{{- $rendezvous := list "MASTER_ADDR" "MASTER_PORT" "NODE_RANK" "NNODES" -}}
{{- $several := concat $rendezvous (list "RANK" "WORLD_SIZE" "POD_IP" "JOB_COMPLETION_INDEX") -}}
{{- range $rendezvous }}{{ $several = append $several (printf "PET_%s" .) }}{{ end -}}
{{- $always := list "TRIAL" "POD_NAME" "POD_UID" "NODE_NAME" "SWEEP_ENGINE" "REPRODUCTION" "HYPERPARAMETERS_FILE" "DATA_DIR" "DATA_ID" "METRICS_FILE" "HISTORY_FILE" "CHECKPOINT_DIR" "OUTPUT_DIR" "SEED" -}}
{{- concat $always (gt (int64 .Values.nodes) 1 | ternary $several list) | toJson -}}
{{- end }}

{{- define "helm-sweep.names.check" -}}
{{- with .Values -}}
{{- range $name := include "helm-sweep.names.runner" $ | fromJsonArray -}}
  {{- if hasKey ($.Values.env | default dict) $name }}{{ fail (printf "env.%s: this name belongs to the trial runner; take another" $name) }}{{ end -}}
{{- end -}}
{{- range $name, $_ := .podLabels -}}
  {{- if regexMatch "^(job-name|controller-uid|([^/]*[.])?(helm-sweep|helm\\.sh|app\\.kubernetes\\.io|batch\\.kubernetes\\.io|kueue\\.x-k8s\\.io)/.*)$" $name }}{{ fail (printf "podLabels.%s: this label tells whose the Pod is, so it is not yours to set; take a prefix of your own" $name) }}{{ end -}}
{{- end -}}
{{- range $name, $_ := .podAnnotations -}}
  {{- if regexMatch "^([^/]*[.])?(helm-sweep|helm\\.sh|batch\\.kubernetes\\.io)/" $name }}{{ fail (printf "podAnnotations.%s: annotations of this prefix are not yours to set; take a prefix of your own" $name) }}{{ end -}}
{{- end -}}
{{- range $name := list "containers" "initContainers" "ephemeralContainers" "volumes" "restartPolicy" "activeDeadlineSeconds" "terminationGracePeriodSeconds" "automountServiceAccountToken" "enableServiceLinks" "securityContext" -}}
  {{- if hasKey ($.Values.pod | default dict) $name }}{{ fail (printf "pod.%s: the chart sets this itself; see the chart's README for the value that does it" $name) }}{{ end -}}
{{- end -}}
{{- range $name := list "hostPID" "shareProcessNamespace" -}}
  {{- if hasKey ($.Values.pod | default dict) $name }}{{ fail (printf "pod.%s: the processes of a trial are its own, so that it can end them and no other reaches them; remove it" $name) }}{{ end -}}
{{- end -}}
{{- if not (contains "/" .gpu.resource) }}{{ fail (printf "gpu.resource: %s is not an extended resource; write one with its domain, as in nvidia.com/gpu" .gpu.resource) }}{{ end -}}
{{- if regexMatch "@(trial|lineage|job)\\." (omit . "trials" "hyperparameters" "code" "command" | toJson) }}{{ fail "values: one holds @trial., @lineage. or @job., which stand for a trial's own in the chart; write it another way" }}{{ end -}}
{{- end -}}
{{- include "helm-sweep.names.volumes" . -}}
{{- end }}

{{/* Volumes and mounts of a person's own: none takes a name or a place of the chart's, or leads into the store. */}}
{{- define "helm-sweep.names.volumes" -}}
{{- $sources := dict -}}
{{- range $index, $volume := .Values.extraVolumes -}}
  {{- if has $volume.name (list "results" "data" "code" "runner" "provenance" "scratch" "shm" "deploy-key") }}{{ fail (printf "extraVolumes.%d.name: the chart has a volume %s of its own; take another name" $index $volume.name) }}{{ end -}}
  {{- if hasKey $sources $volume.name }}{{ fail (printf "extraVolumes.%d.name: there is a volume %s already; take another name" $index $volume.name) }}{{ end -}}
  {{- $_ := set $sources $volume.name $volume -}}
{{- end -}}
{{- range $index, $mount := .Values.extraVolumeMounts -}}
  {{- $volume := get $sources $mount.name -}}
  {{- if not $volume }}{{ fail (printf "extraVolumeMounts.%d.name: no volume of extraVolumes is called %s, and the chart mounts its own itself; add it there" $index $mount.name) }}{{ end -}}
  {{- $path := clean (printf "/%s" $mount.mountPath) -}}
  {{- range $own := list "/sweep" "/tmp" "/dev/shm" -}}
    {{- if or (hasPrefix (printf "%s/" $own) (printf "%s/" $path)) (hasPrefix (printf "%s/" (trimSuffix "/" $path)) (printf "%s/" $own)) }}{{ fail (printf "extraVolumeMounts.%d.mountPath: %s would cover %s, which is the chart's own; take another place" $index $mount.mountPath $own) }}{{ end -}}
  {{- end -}}
  {{- if and $.Values.results.isolate (not $mount.readOnly) (include "helm-sweep.names.store" (dict "volume" $volume "results" ($.Values.results.volume | default dict))) -}}
    {{- fail (printf "extraVolumeMounts.%d: %s is the result store, of which a trial may write its own folders alone; add `readOnly: true`, or write `results: {isolate: false}`" $index $mount.name) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* Not empty where a volume of a person's own holds the result store, or a part of it. */}}
{{- define "helm-sweep.names.store" -}}
{{- $claim := .volume.persistentVolumeClaim | default dict -}}
{{- if and .results.pvc (eq (get $claim "claimName") .results.pvc.claimName) }}the same claim{{ end -}}
{{- range $kind := list "nfs" "hostPath" -}}
  {{- $ours := get $.results $kind | default dict -}}
  {{- $theirs := get $.volume $kind | default dict -}}
  {{- if and $ours $theirs (eq (toString (get $ours "server")) (toString (get $theirs "server"))) -}}
    {{- $one := printf "%s/" (clean $ours.path | trimSuffix "/") -}}
    {{- $other := printf "%s/" (clean (toString $theirs.path) | trimSuffix "/") -}}
    {{- if or (hasPrefix $one $other) (hasPrefix $other $one) }}the same folders{{ end -}}
  {{- end -}}
{{- end -}}
{{- end }}
