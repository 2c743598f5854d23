/*
 * The names that users and other controllers know: labels, annotations, conditions, states. All but
 * those with Raia in them are KubeRay's.
 */
#ifndef API_NAMES_H
#define API_NAMES_H

#define RAY_GROUP   "ray.io"
#define RAY_VERSION "ray.io/v1"

/* Of the two resource definitions (crds/): `metadata.annotations` tells the schema that a server
 * has; the operator wants at least this one. It grows with every field that the operator needs. */
#define RAY_SCHEMA_ANNOTATION "ray.io/raia-schema-version"
#define RAY_SCHEMA_VERSION    1

/* spec.managedBy of objects that are ours (or none). */
#define RAY_MANAGED_BY "ray.io/kuberay-operator"

/* -- labels ---------------------------------------------------------------------------------- */
#define RAY_LABEL_CLUSTER       "ray.io/cluster"
#define RAY_LABEL_NODE_TYPE     "ray.io/node-type" /* head, worker */
#define RAY_LABEL_GROUP         "ray.io/group"     /* RAY_HEAD_GROUP, or the worker group's name */
#define RAY_LABEL_IS_NODE       "ray.io/is-ray-node"
#define RAY_LABEL_IDENTIFIER    "ray.io/identifier" /* CLUSTER-head */
#define RAY_LABEL_SERVE         "ray.io/serve"
#define RAY_LABEL_FROM_NAME     "ray.io/originated-from-cr-name"
#define RAY_LABEL_FROM_CRD      "ray.io/originated-from-crd" /* RayJob, RayService */
#define RAY_LABEL_SUBMISSION    "ray.io/job-submission-mode"
#define RAY_LABEL_REPLICA_NAME  "ray.io/worker-group-replica-name"
#define RAY_LABEL_REPLICA_INDEX "ray.io/worker-group-replica-index"
#define RAY_LABEL_HOST_INDEX    "ray.io/replica-host-index"
#define RAY_LABEL_APP           "app.kubernetes.io/name"
#define RAY_LABEL_CREATED_BY    "app.kubernetes.io/created-by"
#define RAY_HEAD_GROUP          "headgroup"

/* -- annotations ----------------------------------------------------------------------------- */
#define RAY_ANNOTATION_FT            "ray.io/ft-enabled"
#define RAY_ANNOTATION_STORAGE_NS    "ray.io/external-storage-namespace"
#define RAY_ANNOTATION_OVERWRITE     "ray.io/overwrite-container-cmd"
#define RAY_ANNOTATION_NO_HEAD_AGAIN "ray.io/disable-provisioned-head-restart"
#define RAY_ANNOTATION_HASH          "ray.io/upgrade-strategy-recreate-hash"

/* -- RayCluster: status.state, conditions and their reasons ----------------------------------- */
#define RAY_STATE_READY     "ready"
#define RAY_STATE_SUSPENDED "suspended"
#define RAY_STATE_FAILED    "failed"

#define RAY_COND_PROVISIONED     "RayClusterProvisioned"
#define RAY_COND_HEAD_READY      "HeadPodReady"
#define RAY_COND_REPLICA_FAILURE "RayClusterReplicaFailure"
#define RAY_COND_SUSPENDING      "RayClusterSuspending"
#define RAY_COND_SUSPENDED       "RayClusterSuspended"

#define RAY_REASON_ALL_READY      "AllPodRunningAndReadyFirstTime"
#define RAY_REASON_PROVISIONING   "RayClusterPodsProvisioning"
#define RAY_REASON_HEAD_READY     "HeadPodRunningAndReady"
#define RAY_REASON_HEAD_NOT_FOUND "HeadPodNotFound"
#define RAY_REASON_UNKNOWN        "Unknown"

/* Raia's own conditions, of RayCluster and RayJob. */

/* True: fields are set that Raia does not support yet; the message lists them. They are ignored. */
#define RAIA_COND_UNSUPPORTED "RaiaUnsupportedFields"
#define RAIA_REASON_IGNORED   "FieldsIgnored"
/* False: nothing is made of this object until it is changed; the message tells the fields and what
 * was expected of them. True otherwise. */
#define RAIA_COND_ACCEPTED       "RaiaAccepted"
#define RAIA_REASON_ACCEPTED     "Accepted"
#define RAIA_REASON_INVALID      "InvalidSpec"      /* against a rule: ray_cluster_check */
#define RAIA_REASON_REFUSED      "UnsupportedField" /* ignoring it would be dangerous */
#define RAIA_REASON_POD_REJECTED "PodRejected"      /* by the API server */
#define RAIA_REASON_FOREIGN_PODS "ForeignPods"      /* pods of KubeRay's; nothing is touched */
/* True: pods wait; the reason is the first one's (Unschedulable, ImagePullBackOff), the message tells
 * it for each group. Not there otherwise. */
#define RAIA_COND_PENDING "RaiaPodsPending"

#endif
