{{/* Variables by which policies look at whatever makes pods. */}}
{{- define "posology.cel.variables" -}}
- name: pod
  expression: >-
    object.kind == "Pod" ? dyn(object) : object.kind == "CronJob" ? dyn(object.spec.jobTemplate.spec.template) : dyn(object.spec.template)
- name: containers
  expression: >-
    variables.pod.spec.containers + (has(variables.pod.spec.initContainers) ? variables.pod.spec.initContainers : []) +
    (has(variables.pod.spec.ephemeralContainers) ? variables.pod.spec.ephemeralContainers : [])
- name: volumes
  expression: "has(variables.pod.spec.volumes) ? variables.pod.spec.volumes : []"
- name: account
  expression: "has(variables.pod.spec.serviceAccountName) ? variables.pod.spec.serviceAccountName : ''"
{{- end -}}

{{/* Whether a pod reads any Secret, by whichever way, whose name `x` fulfils `test`: dict "test" CEL. */}}
{{- define "posology.cel.reads" -}}
variables.volumes.exists(v, has(v.secret) && [v.secret.secretName].exists(x, {{ .test }})) ||
variables.volumes.exists(v, has(v.projected) && has(v.projected.sources) && v.projected.sources.exists(s, has(s.secret) && [s.secret.name].exists(x, {{ .test }}))) ||
variables.containers.exists(c, has(c.envFrom) && c.envFrom.exists(e, has(e.secretRef) && [e.secretRef.name].exists(x, {{ .test }}))) ||
variables.containers.exists(c, has(c.env) && c.env.exists(e, has(e.valueFrom) && has(e.valueFrom.secretKeyRef) && [e.valueFrom.secretKeyRef.name].exists(x, {{ .test }})))
{{- end -}}

{{/* A list of texts in CEL: list of texts. */}}
{{- define "posology.cel.list" -}}
[{{ range $i, $text := . }}{{ if $i }}, {{ end }}{{ $text | quote }}{{ end }}]
{{- end -}}

{{/* Whatever makes pods, as resourceRules. */}}
{{- define "posology.makesPods" -}}
- {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [pods, pods/ephemeralcontainers, replicationcontrollers]}
- {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments, replicasets, statefulsets, daemonsets]}
- {apiGroups: [batch], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [jobs, cronjobs]}
{{- end -}}

{{/* `fresh`: whether this request says what the pods are. It does not where a Job is updated, whose pods can't change, and
where a Deployment keeps its pods: those may be of an earlier release, with the images and Secrets of that one. */}}
{{- define "posology.cel.fresh" -}}
- name: fresh
  expression: >-
    oldObject == null || (object.kind != "Job" && object.kind != "Pod" && object.kind != "ReplicaSet" && (object.kind == "CronJob" ||
    object.spec.template.spec != oldObject.spec.template.spec))
- name: component
  expression: variables.pod.?metadata.?labels.orValue({})[?"app.kubernetes.io/component"].orValue("")
{{- end -}}

{{/* No pod of work uses its node, another user, or more than its containers' own rights: dict "templates" of its GPUs' claims. */}}
{{- define "posology.cel.confined" -}}
!variables.pod.spec.?hostNetwork.orValue(false) && !variables.pod.spec.?hostPID.orValue(false) && !variables.pod.spec.?hostIPC.orValue(false) &&
!variables.pod.spec.?shareProcessNamespace.orValue(false) && variables.pod.spec.?nodeName.orValue("") == "" &&
variables.pod.spec.?securityContext.?runAsUser.orValue(1) != 0 && variables.pod.spec.?securityContext.?sysctls.orValue([]).size() == 0 &&
!variables.pod.spec.?securityContext.?windowsOptions.hasValue() && variables.pod.spec.?resourceClaims.orValue([]).all(r, r.?resourceClaimTemplateName.orValue("") in {{ include "posology.cel.list" .templates }}) &&
!(variables.pod.spec.?priorityClassName.orValue("").startsWith("system-")) &&
variables.containers.all(c, !c.?securityContext.?privileged.orValue(false) && !c.?securityContext.?allowPrivilegeEscalation.orValue(false) &&
  c.?securityContext.?runAsUser.orValue(1) != 0 && c.?securityContext.?capabilities.?add.orValue([]).size() == 0 &&
  c.?securityContext.?procMount.orValue("Default") == "Default" && !c.?securityContext.?windowsOptions.hasValue() &&
  c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0) && c.?volumeDevices.orValue([]).size() == 0)
{{- end -}}

{{/* Names of the claim templates of pools. */}}
{{- define "posology.claimTemplates" -}}
{{- $names := list -}}
{{- range . -}}{{- with .resourceClaimTemplate -}}{{- $names = append $names . -}}{{- end -}}{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Images are pulled with the Secrets that the values name. */}}
{{- define "posology.cel.pulls" -}}
variables.pod.spec.?imagePullSecrets.orValue([]).all(s, s.?name.orValue("") in {{ include "posology.cel.list" .Values.images.pullSecrets }})
{{- end -}}
