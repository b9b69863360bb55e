// One service as a container app: several revisions at once, each behind a label, with its Dapr sidecar.

@description('The service, as the catalogue has it: {name, hears, …}.')
param service object

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('The environment of the container apps.')
param environmentId string

@description('The domain of its addresses.')
param environmentDomain string

@description('The image, by digest.')
param image string

@description('The registry that has it.')
param registryServer string

@description('The user-assigned identity of the service.')
param identityId string

@description('Its client id, which the Azure libraries ask for.')
param identityClientId string

@description('The identity that the scaler alone has.')
param scalerIdentityId string

@description('The port that the service listens on.')
param port int

@description('The paths of its probes: {live, ready, deliver}.')
param probes object

@description('The store.')
param cosmosEndpoint string

@description('The database in it.')
param cosmosDatabase string

@description('Has it records in a Dapr state store?')
param hasStateStore bool

@description('The broker, for the scaler.')
param serviceBusName string

@description('The vault, with a slash at the end.')
param keyVaultUri string

@description('Application Insights.')
param applicationInsightsName string

@description('The share of traces that is recorded, from 0 to 1.')
param traceShare string

@description('The mail server; empty for none.')
param smtpHost string

@description('The user at the mail server; empty for none.')
param smtpUser string

@description('The sender of e-mails.')
param smtpFrom string

@description('Who takes the money.')
param paymentProvider string

@description('Networks whose word on a client\'s address is taken; empty for none.')
param trustedProxies string

@description('The cores of a replica, as a decimal number.')
param cpu string

@description('The memory of a replica: twice as many Gi as cores.')
param memory string

@description('The fewest replicas of a revision.')
param minReplicas int

@description('The most replicas of a revision.')
param maxReplicas int

@description('The suffix of the revision that this makes; empty: Azure makes one up.')
param revisionSuffix string

@description('The suffix of the revision labelled blue; empty for none.')
param blueSuffix string

@description('The suffix of the revision labelled green; empty for none.')
param greenSuffix string

@description('The label that has all of the traffic.')
param liveLabel string

var sendsMail = contains(['notifications', 'orders'], service.name) && !empty(smtpHost)
var signsInToMail = sendsMail && !empty(smtpUser)

// A revision that is beside the live one takes no events: a release says when it does.
var liveSuffix = liveLabel == 'blue' ? blueSuffix : greenSuffix
var consumes = empty(blueSuffix) && empty(greenSuffix) || revisionSuffix == liveSuffix

// While no revision has a label, the latest has the traffic.
var unlabelled = [
  {
    latestRevision: true
    weight: 100
  }
]
var blue = empty(blueSuffix) ? [] : [
  {
    revisionName: '${service.name}--${blueSuffix}'
    label: 'blue'
    weight: liveLabel == 'blue' ? 100 : 0
  }
]
var green = empty(greenSuffix) ? [] : [
  {
    revisionName: '${service.name}--${greenSuffix}'
    label: 'green'
    weight: liveLabel == 'green' ? 100 : 0
  }
]

// What every service is given out of the vault. The ones that end with -too are good beside the others and are the same
// as those, but while one is being changed (docs/run/secrets.md).
var kept = [
  {
    name: 'organizer-key'
    variable: 'CLUDALE_ORGANIZER_KEY'
  }
  {
    name: 'token-key'
    variable: 'CLUDALE_TOKEN_KEY'
  }
  {
    name: 'token-key-too'
    variable: 'CLUDALE_TOKEN_KEY_TOO'
  }
  {
    name: 'service-key'
    variable: 'CLUDALE_SERVICE_KEY'
  }
  {
    name: 'service-key-too'
    variable: 'CLUDALE_SERVICE_KEY_TOO'
  }
  {
    name: 'key-hash'
    variable: 'CLUDALE_KEY_HASH'
  }
  {
    name: 'key-hash-too'
    variable: 'CLUDALE_KEY_HASH_TOO'
  }
  {
    name: 'privacy-key'
    variable: 'CLUDALE_PRIVACY_KEY'
  }
  {
    name: 'privacy-key-too'
    variable: 'CLUDALE_PRIVACY_KEY_TOO'
  }
]
// A service has a key of its own: orders-service-key.
var ownKeys = ['service-key', 'service-key-too']
var keptSecrets = [for each in kept: {
  name: each.name
  keyVaultUrl: '${keyVaultUri}secrets/${contains(ownKeys, each.name) ? '${service.name}-' : ''}${each.name}'
  identity: identityId
}]
var keptVariables = [for each in kept: {
  name: each.variable
  secretRef: each.name
}]
var mailSecrets = [
  {
    name: 'smtp-password'
    keyVaultUrl: '${keyVaultUri}secrets/smtp-password'
    identity: identityId
  }
]

var variables = [
  {
    name: 'CLUDALE_HOST'
    value: '0.0.0.0'
  }
  {
    name: 'CLUDALE_PORT'
    value: string(port)
  }
  {
    name: 'CLUDALE_DATA_DIR'
    value: '/data'
  }
  {
    name: 'CLUDALE_DAPR'
    value: '1'
  }
  // As in the revisions that a release makes: else a deployment of this would make another one.
  {
    name: 'CLUDALE_CONSUME'
    value: consumes ? '1' : '0'
  }
  {
    name: 'CLUDALE_CONSUME_MOST'
    value: '0'
  }
  // Where a release that takes no events yet calls the others: at their label green, not who has the traffic.
  {
    name: 'CLUDALE_TRIAL_URL'
    value: 'https://{service}---green.internal.${environmentDomain}'
  }
  {
    name: 'CLUDALE_PAYMENT_PROVIDER'
    value: paymentProvider
  }
  {
    name: 'AZURE_CLIENT_ID'
    value: identityClientId
  }
  {
    name: 'OTEL_SERVICE_NAME'
    value: service.name
  }
  {
    name: 'OTEL_TRACES_SAMPLER'
    value: 'parentbased_traceidratio'
  }
  {
    name: 'OTEL_TRACES_SAMPLER_ARG'
    value: traceShare
  }
  {
    name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
    secretRef: 'insights-connection'
  }
]
var cosmosEnvironment = [
  {
    name: 'CLUDALE_COSMOS_ENDPOINT'
    value: cosmosEndpoint
  }
  {
    name: 'CLUDALE_COSMOS_DATABASE'
    value: cosmosDatabase
  }
]
var stateEnvironment = [
  {
    name: service.stateVariable
    value: service.stateStore
  }
  {
    name: 'CLUDALE_STATE_TYPE'
    value: 'azure.cosmosdb'
  }
]
// There can be one store of everything.
var storeEnvironment = hasStateStore && service.keepsAllInStateStore ? [] : cosmosEnvironment
var proxyEnvironment = [
  {
    name: 'CLUDALE_TRUSTED_PROXIES'
    value: trustedProxies
  }
]
var mailEnvironment = [
  {
    name: 'CLUDALE_SMTP_HOST'
    value: smtpHost
  }
  {
    name: 'CLUDALE_SMTP_FROM'
    value: smtpFrom
  }
]
var mailSignIn = [
  {
    name: 'CLUDALE_SMTP_USER'
    value: smtpUser
  }
  {
    name: 'CLUDALE_SMTP_PASSWORD'
    secretRef: 'smtp-password'
  }
]

var requestRule = [
  {
    name: 'requests'
    http: {
      metadata: {
        concurrentRequests: '100'
      }
    }
  }
]
var backlogRules = [for topic in service.hears: {
  name: topic
  custom: {
    type: 'azure-servicebus'
    metadata: {
      namespace: serviceBusName
      topicName: topic
      subscriptionName: service.name
      messageCount: '200'
    }
    identity: scalerIdentityId
  }
}]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource app 'Microsoft.App/containerApps@2026-07-01' = {
  name: service.name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned,UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
      '${scalerIdentityId}': {}
    }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Multiple'
      maxInactiveRevisions: 10
      // No container gets a token of it: what the scaler may do the service must not.
      identitySettings: [
        {
          identity: scalerIdentityId
          lifecycle: 'None'
        }
      ]
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
      secrets: concat(keptSecrets, signsInToMail ? mailSecrets : [], [
        {
          name: 'insights-connection'
          value: insights.properties.ConnectionString
        }
      ])
      // Reached from outside through the environment's routes only (address.bicep): /dapr and /metrics stay inside.
      ingress: {
        external: false
        targetPort: port
        transport: 'http'
        allowInsecure: false
        traffic: empty(blue) && empty(green) ? unlabelled : concat(blue, green)
      }
      // Container Apps gives the app APP_API_TOKEN, made for the revision, and the sidecar the same.
      dapr: {
        enabled: true
        appId: service.name
        appPort: port
        appProtocol: 'http'
        appHealth: {
          enabled: true
          path: probes.deliver
          probeIntervalSeconds: 5
          probeTimeoutMilliseconds: 2000
          threshold: 3
        }
        logLevel: 'warn'
        httpMaxRequestSize: 4
      }
    }
    template: {
      revisionSuffix: revisionSuffix
      terminationGracePeriodSeconds: 45
      containers: [
        {
          name: service.name
          image: image
          args: [
            'serve'
            service.name
          ]
          resources: {
            cpu: json(cpu)
            memory: memory
          }
          env: concat(variables, keptVariables, storeEnvironment, hasStateStore ? stateEnvironment : [], empty(trustedProxies) ? [] : proxyEnvironment, sendsMail ? mailEnvironment : [], signsInToMail ? mailSignIn : [])
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: probes.live
                port: port
              }
              // for two minutes at most; Azure has refused a higher threshold than 30
              periodSeconds: 4
              timeoutSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: {
                path: probes.live
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 6
            }
            {
              type: 'Readiness'
              httpGet: {
                path: probes.ready
                port: port
              }
              periodSeconds: 5
              timeoutSeconds: 3
              failureThreshold: 3
            }
          ]
          volumeMounts: [
            {
              volumeName: 'scratch'
              mountPath: '/data'
            }
          ]
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: concat(requestRule, backlogRules)
      }
      volumes: [
        {
          name: 'scratch'
          storageType: 'EmptyDir'
        }
      ]
    }
  }
}

@description('The system-assigned identity: what the sidecar is.')
output principalId string = app.identity.principalId
