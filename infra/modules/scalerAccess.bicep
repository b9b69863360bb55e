// What the scaler may do at the broker: count what waits in one service's subscriptions.
//
// Counting is reading a subscription's description from the broker itself, and for that keys need the claim Manage
// (https://github.com/kedacore/keda/issues/806, https://github.com/microsoft/azure-container-apps/issues/1138). Of the
// roles only Data Owner is known to be enough; of Data Receiver, which has the action to read subscriptions, reports
// differ (https://github.com/Azure/azure-functions-servicebus-extension/issues/226). A role of our own, with that action
// alone, would need who deploys to define roles; the pipeline's identity may only assign them. So it is Data Owner, on
// these subscriptions and nowhere above them, for an identity of which no container gets a token (app.bicep).

@description('The namespace.')
param namespaceName string

@description('The scaler\'s identity.')
param principalId string

@description('The names of the topics that the service hears.')
param hears array

@description('The name of its subscriptions.')
param subscriptionName string

var dataOwner = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '090c5cfd-751d-490a-894a-3ce6f1109419')

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: namespaceName
}

resource sources 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' existing = [for topic in hears: {
  parent: namespace
  name: topic
}]

resource subscriptions 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2026-01-01' existing = [for (topic, i) in hears: {
  parent: sources[i]
  name: subscriptionName
}]

resource counts 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (topic, i) in hears: {
  name: guid(subscriptions[i].id, principalId, dataOwner)
  scope: subscriptions[i]
  properties: {
    roleDefinitionId: dataOwner
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
