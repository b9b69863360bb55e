// What a month may cost, and who is told when it will be more. Azure goes on all the same: nothing is stopped by it.

@description('Its name.')
param name string

@description('The most that a month should cost, in the currency of the bill.')
param monthly int

@description('The first day of the month in which it is made: 2026-12-01. Azure takes no other, and no later change of it.')
param start string

@description('Who is told.')
param email string

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: monthly
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: start
    }
    notifications: {
      most: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: [
          email
        ]
      }
      forecast: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [
          email
        ]
      }
    }
  }
}
