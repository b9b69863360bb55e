// An on-sale: zones, a network of its own, two replicas of everything before anyone comes.
using '../main.bicep'

param environmentName = 'prod'
param alertEmail = 'operators@example.com'
param privateNetwork = true
param zoneRedundant = true
param serviceBusSku = 'Premium'
param cosmosServerless = false
param cosmosMaxThroughput = {
  concerts: 20000
  orders: 20000
  payments: 20000
  notifications: 10000
  audit: 20000
  tickets: 10000
  'simulated-provider': 1000
}
param cosmosBackupTier = 'Continuous30Days'
param cpu = '1.0'
param memory = '2Gi'
param minReplicas = 2
param maxReplicas = 20
param logRetentionDays = 90
param traceShare = '0.1'
param auditArchive = true
param monthlyBudget = 3500
